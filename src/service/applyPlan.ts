/**
 * Applies a plan. If a write, a step of the supervisor or the health check fails, the files
 * are restored and the previous service is loaded again. The error lists what could not be
 * restored.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as path from "node:path"
import { attempt, type FileError, removeDurably, replaceFile } from "../daemon/files/durableFile.ts"
import { makeDirectory } from "../daemon/files/pinDirectory.ts"
import type { ToolFailed } from "../process/runTool.ts"
import { hasSocket, type InstalledFile } from "./ServiceFile.ts"
import type { FileChangeStep, ServicePlan } from "./servicePlan.ts"
import { describeExit, exitHint, type NotServing, type Supervisor, type SupervisorStep } from "./Supervisor.ts"

/** The plan failed, and every change was undone except for `unrestored`. */
export class RolledBack extends Data.TaggedError("RolledBack")<{
  readonly reason: string
  readonly fix: string
  readonly unrestored: ReadonlyArray<string>
}> {
  override get message() {
    const outcome =
      this.unrestored.length === 0 ? "all changes were undone" : `undoing failed: ${this.unrestored.join("; ")}`
    return `${this.reason}; ${outcome}`
  }
}

export interface ApplyOptions {
  readonly supervisor: Supervisor
  readonly installed: ReadonlyArray<InstalledFile>
  /** Whether the supervisor knew the service before. */
  readonly loaded: boolean
  readonly healthCheck: Effect.Effect<void, NotServing | ToolFailed>
}

/** Applies the plan and runs the health check, or rolls everything back. */
export const applyPlan = Effect.fnUntraced(function* (plan: ServicePlan, options: ApplyOptions) {
  const { healthCheck, supervisor } = options
  const apply = Effect.gen(function* () {
    yield* runSteps(plan.before, supervisor)
    for (const change of plan.changes) yield* changeFile(change)
    yield* runSteps(plan.after, supervisor)
    yield* healthCheck
  })
  yield* apply.pipe(
    Effect.catch(
      Effect.fnUntraced(function* (error) {
        const exit = Option.getOrUndefined(yield* Effect.option(supervisor.state))?.lastExit
        const unrestored = yield* rollBack(plan, options)
        const reason =
          exit === undefined || error._tag === "NotServing"
            ? error.message
            : `${error.message}. The daemon exited: ${describeExit(exit)}`
        return yield* new RolledBack({ reason, fix: exitHint(exit) ?? ("fix" in error ? error.fix : ""), unrestored })
      })
    ),
    // A partial installation is worse than a late reaction to a signal.
    Effect.uninterruptible
  )
})

const runSteps = (steps: ReadonlyArray<SupervisorStep>, supervisor: Supervisor): Effect.Effect<void, ToolFailed> =>
  Effect.forEach(steps, supervisor.run, { discard: true })

const changeFile = Effect.fnUntraced(function* (change: FileChangeStep) {
  if (change.backup !== undefined) yield* backUp(change.path, change.backup)
  if (change.kind === "remove") return yield* removeDurably(change.path)
  yield* write(change.path, change.text)
})

/** Writes a file that is world-readable, as supervisors expect: it contains no secret. */
const write = Effect.fnUntraced(function* (file: string, text: string) {
  yield* makeDirectory(path.dirname(file))
  yield* replaceFile(file, [Buffer.from(text, "utf8")])
  yield* attempt("change the mode of", file, () => fs.promises.chmod(file, 0o644))
})

/** Appends a number rather than replace an older backup. */
const backUp = (file: string, backup: string): Effect.Effect<void, FileError> =>
  attempt("back up", file, async () => {
    for (let number = 0; ; number += 1) {
      try {
        const target = number === 0 ? backup : `${backup}.${number}`
        return await fs.promises.copyFile(file, target, fs.constants.COPYFILE_EXCL)
      } catch (cause) {
        if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause
      }
    }
  })

/** Returns the messages of what could not be restored. */
const rollBack = Effect.fnUntraced(function* (plan: ServicePlan, { installed, loaded, supervisor }: ApplyOptions) {
  const socketNow = plan.changes.some(({ kind, path: file }) => kind === "write" && supervisor.paths.indexOf(file) > 0)
  const changed = installed.filter(({ path: file }) => plan.changes.some((change) => change.path === file))
  const attempts: ReadonlyArray<Effect.Effect<void, ToolFailed | FileError>> = [
    runSteps(supervisor.steps("unload", socketNow), supervisor),
    ...changed.map(({ path: file, text }) => (text === undefined ? removeDurably(file) : write(file, text))),
    runSteps(loaded ? supervisor.steps("load", hasSocket(installed)) : supervisor.reload, supervisor)
  ]
  const [, errors] = yield* Effect.partition(attempts, (one) => one)
  return errors.map(({ message }) => message)
})
