/**
 * Carries a plan out, or leaves everything as it was.
 *
 * Whatever goes wrong on the way - a file that cannot be written, a supervisor that
 * refuses, a daemon that does not answer - the files are put back and what ran before
 * is loaded again. What fails while putting back is told beside the first reason.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import type { FileError } from "../daemon/files/durableFile.ts"
import { attempt, readIfPresent, removeDurably, replaceFile } from "../daemon/files/durableFile.ts"
import { makeDirectory } from "../daemon/files/makeDirectory.ts"
import { describeExit, exitHint } from "./lastExit.ts"
import type { FileChangeStep, InstalledFile, ServicePlan } from "./servicePlan.ts"
import { hasSocket } from "./servicePlan.ts"
import type { SupervisorStep, SupervisorShape } from "./Supervisor.ts"
import type { ToolFailed } from "./runTool.ts"

/** It was given up, and what had been done was undone, except for `left`. */
export class RolledBack extends Data.TaggedError("GivenUp")<{
  readonly reason: string
  readonly fix: string
  readonly left: ReadonlyArray<string>
}> {
  override get message() {
    const undone = "everything was put back as it was"
    return `${this.reason}; ${this.left.length === 0 ? undone : `and putting it back failed: ${this.left.join("; ")}`}`
  }
}

/** What was installed does not do its work. */
export class NotServing extends Data.TaggedError("NotServing")<{ readonly message: string; readonly fix: string }> {}

export interface ApplyOptions {
  readonly supervisor: SupervisorShape
  readonly found: ReadonlyArray<InstalledFile>
  /** Whether the supervisor knew the service before. */
  readonly loaded: boolean
  /** Fails if what is there at the end does not do its work. */
  readonly healthCheck: Effect.Effect<void, NotServing | ToolFailed>
}

export const readServiceFiles = (
  places: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<InstalledFile>, FileError> =>
  Effect.forEach(places, (place) =>
    Effect.map(readIfPresent(place), (contents): InstalledFile => ({ path: place, text: contents?.toString("utf8") }))
  )

export const applyPlan = Effect.fnUntraced(function* (plan: ServicePlan, options: ApplyOptions) {
  const { healthCheck, supervisor } = options
  const all = Effect.gen(function* () {
    yield* inTurn(plan.before, supervisor)
    for (const change of plan.changes) yield* apply(change)
    yield* inTurn(plan.after, supervisor)
    yield* healthCheck
  })
  yield* all.pipe(
    Effect.catch(
      Effect.fnUntraced(function* (error) {
        const end = Option.getOrUndefined(yield* Effect.option(supervisor.state))?.lastEnd
        const left = yield* putBack(plan, options)
        const told = end === undefined || error._tag === "NotServing"
        const reason = told ? error.message : `${error.message}. The daemon ended: ${describeExit(end)}`
        return yield* new RolledBack({ reason, fix: exitHint(end) ?? ("fix" in error ? error.fix : ""), left })
      })
    ),
    // Half an installation is worse than a command that does not end at once.
    Effect.uninterruptible
  )
})

const inTurn = (steps: ReadonlyArray<SupervisorStep>, supervisor: SupervisorShape): Effect.Effect<void, ToolFailed> =>
  Effect.forEach(steps, supervisor.run, { discard: true })

const apply = Effect.fnUntraced(function* (change: FileChangeStep) {
  if (change.backup !== undefined) yield* keep(change.path, change.backup)
  if (change.kind === "remove") return yield* removeDurably(change.path)
  yield* write(change.path, change.text)
})

/** Readable for all, as supervisors want it: there is no secret in it. */
const write = Effect.fnUntraced(function* (file: string, text: string) {
  yield* makeDirectory(path.dirname(file))
  yield* replaceFile(file, [Buffer.from(text, "utf8")])
  yield* attempt("change the mode of", file, () => fs.chmod(file, 0o644))
})

/** An older backup gets a number rather than lost. */
const keep = (file: string, backup: string): Effect.Effect<void, FileError> =>
  attempt("keep a copy of", file, async () => {
    for (let number = 0; ; number += 1) {
      try {
        await fs.link(file, number === 0 ? backup : `${backup}.${number}`)
        return
      } catch (cause) {
        if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause
      }
    }
  })

/** Gives what could not be put back. */
const putBack = Effect.fnUntraced(function* (plan: ServicePlan, { found, loaded, supervisor }: ApplyOptions) {
  const socketNow = plan.changes.some(({ kind, path: file }) => kind === "write" && supervisor.places.indexOf(file) > 0)
  const files = found.filter(({ path: file }) => plan.changes.some((change) => change.path === file))
  const attempts: ReadonlyArray<Effect.Effect<void, ToolFailed | FileError>> = [
    inTurn(supervisor.steps("unload", socketNow), supervisor),
    ...files.map(({ path: file, text }) => (text === undefined ? removeDurably(file) : write(file, text))),
    inTurn(loaded ? supervisor.steps("load", hasSocket(found)) : supervisor.reread, supervisor)
  ]
  const outcomes = yield* Effect.forEach(attempts, (one) =>
    one.pipe(
      Effect.map(() => ""),
      Effect.catch((error) => Effect.succeed(error.message))
    )
  )
  return outcomes.filter((outcome) => outcome !== "")
})
