/**
 * Whether the user wants a program to have what a project file asks for. A cloned repository
 * brings a file of its own, so finding one is no consent, and naming one with --project is none
 * to its content.
 *
 * Consent is an entry of `secrets allow` for exactly these paths and this content, a path in
 * `trusted_projects`, or an answer on the terminal. Without a terminal the file is rejected. Each
 * decision is recorded by the daemon before it takes effect.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { escapeValue } from "../../../domain/escape.ts"
import { isWithin, type TrustedProject } from "../../../domain/ProjectTrust.ts"
import { type GlobalArgs, readSettings } from "../../command/settingsFile.ts"
import { printNotice } from "../../command/Output.ts"
import { loadConfig } from "../../command/settings.ts"
import { unsafePath } from "../../../process/pathOwners.ts"
import { askOnTerminal } from "../../terminal/askOnTerminal.ts"
import { isInteractive } from "../../terminal/isInteractive.ts"
import { type Project, rejectForeign, shellWord, untrusted } from "./findProject.ts"
import { recorderFor, recordTrust } from "./recordTrust.ts"
import { loadTrustList } from "./trustList.ts"

export interface ConsentRequest {
  readonly command: "env" | "exec"
  readonly args: GlobalArgs
  readonly project: Project
  /** The value of --project. */
  readonly named: string | undefined
  /** What it would get, for the question. */
  readonly plan: Effect.Effect<ReadonlyArray<string>>
  /** Whether a path in the settings is not enough, because its owner may not expect this. */
  readonly mustBeSeen: boolean
}

/** Fails unless the user consents. */
export const requireConsent = Effect.fnUntraced(function* (request: ConsentRequest) {
  const { named, project } = request
  yield* Effect.tapError(rejectForeign(project, named), () => Effect.ignore(recordRefusal(request)))
  const list = yield* Effect.result(loadTrustList)
  const known = Result.isSuccess(list) ? list.success.find(({ path }) => path === project.file) : undefined
  if (known?.hash === project.hash) return
  const inSettings = yield* isInSettings(request)
  if (inSettings === true) return
  const state = known === undefined ? "is not trusted" : "has changed since it was trusted"
  const problem = Result.isFailure(list) ? list.failure.message : inSettings || undefined
  if (isInteractive()) return yield* ask(request, state, problem)
  yield* Effect.ignore(recordRefusal(request))
  return yield* notAllowed(request, state, problem)
})

/**
 * Returns whether a path in `trusted_projects` covers the file, by whole components of real paths; or why that does not
 * count. Another user who can change the settings or the project cannot give consent.
 */
const isInSettings = Effect.fnUntraced(function* ({ args, mustBeSeen, project }: ConsentRequest) {
  if (mustBeSeen || project.isForeign) return false
  const { trustedProjects } = yield* loadConfig(args)
  if (!trustedProjects.some((root) => covers(root, project))) return false
  const settings = readSettings(args)
  const files = [project.file, project.realPath, "file" in settings ? settings.file : ""]
  return files.map((file) => unsafePath(path.resolve(file))?.reason).find((reason) => reason !== undefined) ?? true
})

const covers = (named: string, { file, realPath }: Project): boolean => {
  try {
    const root = fs.realpathSync.native(named)
    return isWithin(file, root) && isWithin(realPath, root)
  } catch {
    return false
  }
}

/** Shows the plan and asks. Without an answer, or after any other one, the file is rejected. */
const ask = Effect.fnUntraced(function* (request: ConsentRequest, state: string, problem: string | undefined) {
  const { command, project } = request
  printNotice(`secrets ${command}: ${escapeValue(project.file)} ${state}`)
  if (problem !== undefined) printNotice(problem)
  if (project.isForeign) printNotice("it belongs to or is writable by another user")
  for (const line of yield* request.plan) printNotice(line)
  const answer = askOnTerminal("Use it? y: this time, a: until it changes [y/a/N] ").toLowerCase()
  const recorder = yield* recorderFor(request.args)
  if (["y", "yes"].includes(answer)) return yield* recordTrust(recorder, "accept", entryOf(project))
  if (!["a", "always"].includes(answer)) {
    yield* Effect.ignore(recordRefusal(request))
    return yield* notAllowed(request, "was not allowed", problem)
  }
  const { allowProject } = yield* Effect.promise(() => import("./allowProject.ts"))
  return yield* allowProject(recorder, project)
})

const entryOf = ({ file, hash }: Project): Pick<TrustedProject, "path" | "hash"> => ({ path: file, hash })

/** Records a refusal, which stands if that fails, and does not wait long for a daemon. */
const recordRefusal = Effect.fnUntraced(function* ({ args, project }: ConsentRequest) {
  const { clientId, daemon } = yield* recorderFor(args)
  const timeout = Duration.min(daemon.timeout, Duration.seconds(1))
  yield* recordTrust({ clientId, daemon: { ...daemon, timeout } }, "refuse", entryOf(project))
})

const notAllowed = ({ project }: ConsentRequest, state: string, problem: string | undefined) => {
  return untrusted(
    `${escapeValue(project.file)} ${state}`,
    `Look at it with secrets env --dry-run, then trust it: secrets allow ${shellWord(project.file)}`,
    problem
  )
}
