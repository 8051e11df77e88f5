/**
 * secrets daemon install, uninstall: all of it or nothing. --dry-run prints the plan.
 *
 * An installation is done when its daemon answers. Neither command touches secrets, leases
 * or settings.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { escapeValue } from "../../../domain/escape.ts"
import { makeDirectory } from "../../../daemon/files/pinDirectory.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { applyPlan } from "../../../service/applyPlan.ts"
import { runtimeRemark } from "../../../service/lastingRuntime.ts"
import { protectedFolder } from "../../../service/protectedFolder.ts"
import { readServiceFiles } from "../../../service/ServiceFile.ts"
import { type FileConflict, type ServicePlan, planInstall, planUninstall } from "../../../service/servicePlan.ts"
import { type JobState, type Supervisor, unloadedJob } from "../../../service/Supervisor.ts"
import { checkOwner } from "../../command/settings.ts"
import type { DaemonArgs } from "./daemonFlags.ts"
import { probeDaemon, waitUntilReady } from "./probeDaemon.ts"
import { type RenderedService, choicesFromArgs, resolvedPath, renderService } from "./renderService.ts"
import { cannotAsk, fileError, ioError, supervisorOf } from "./supervisorOf.ts"

export const installService = Effect.fnUntraced(function* (args: DaemonArgs) {
  const supervisor = yield* supervisorOf(args, "change")
  const rendered = yield* renderService(yield* choicesFromArgs(args, supervisor), supervisor)
  if (supervisor.name === "launchd") yield* checkFolders(rendered)
  if (supervisor.scope === "user") yield* checkOwner(rendered.config.directory, "secrets daemon install")
  const input = yield* readInput(args, supervisor, "install")
  const plan = yield* Effect.mapError(Effect.fromResult(planInstall(input, rendered.files)), conflictError)
  const file = supervisor.paths[0]
  const remark = runtimeRemark(rendered.options.runtime)
  const { unasked } = input
  const notes = [
    ...supervisor.notes(rendered.options),
    ...(remark === undefined ? [] : [remark]),
    ...(unasked === undefined ? [] : [`${unasked.reason}. ${unasked.fix}`])
  ]
  if (plan === undefined) {
    const lines = [`already installed, unchanged: ${escapeValue(file)}`, ...notes]
    return { lines, result: { changed: false, file, remarks: notes } }
  }
  if (args.flag("dry-run")) return printPlan(plan, notes)
  yield* checkPreconditions(rendered, input.job)
  const { config, options } = rendered
  if (supervisor.name === "launchd") yield* Effect.mapError(makeDirectory(path.dirname(options.log)), fileError)
  const healthCheck = Effect.asVoid(waitUntilReady(config.socketPath, supervisor))
  yield* Effect.mapError(applyPlan(plan, { ...input, healthCheck }), ioError)
  const pid = (yield* probeDaemon(config.socketPath))?.pid
  const running = pid === undefined ? "" : `, running as process ${pid}`
  return {
    lines: [`installed for ${supervisor.name}${running}: ${escapeValue(file)}`, ...backupNotes(plan), ...notes],
    result: { changed: true, file, pid, remarks: notes }
  }
})

export const uninstallService = Effect.fnUntraced(function* (args: DaemonArgs) {
  const input = yield* readInput(args, yield* supervisorOf(args, "change"), "uninstall")
  const plan = yield* Effect.mapError(Effect.fromResult(planUninstall(input)), conflictError)
  if (plan === undefined) {
    const { unasked } = input
    const because = unasked === undefined ? "" : `: there is no service file, and ${unasked.reason}`
    return { lines: [`not installed${because}`], result: { changed: false } }
  }
  if (args.flag("dry-run")) return printPlan(plan)
  yield* Effect.mapError(applyPlan(plan, { ...input, healthCheck: Effect.void }), ioError)
  return {
    lines: ["uninstalled; secrets, leases and settings are unchanged", ...backupNotes(plan)],
    result: { changed: true }
  }
})

/**
 * Reads the installed files and the job. Without a supervisor that answers, it fails only if the command has
 * something to change: a dry run has not, and neither has an uninstallation without a file.
 */
const readInput = Effect.fnUntraced(function* (
  args: DaemonArgs,
  supervisor: Supervisor,
  purpose: "install" | "uninstall"
) {
  const installed = yield* Effect.mapError(readServiceFiles(supervisor.paths), fileError)
  const state = yield* Effect.result(supervisor.state)
  const changes = purpose === "install" || installed.some(({ text }) => text !== undefined)
  if (Result.isFailure(state) && changes && !args.flag("dry-run")) return yield* ioError(state.failure)
  const [job, unasked] = Result.isFailure(state)
    ? [unloadedJob, cannotAsk(supervisor, state.failure)]
    : [state.success, undefined]
  const loaded = job.enabled || (job.phase !== "unloaded" && job.phase !== "stopped")
  return { supervisor, installed, job, loaded, force: args.flag("force"), unasked }
})

/** Fails before any change if the installation could not succeed. */
const checkPreconditions = Effect.fnUntraced(function* ({ config, options }: RenderedService, job: JobState) {
  const other = yield* probeDaemon(config.socketPath)
  if (other !== undefined && job.phase !== "running") {
    const { pid } = other
    const error = {
      message: `a daemon is already running${pid === undefined ? "" : ` (process ${pid})`}, and it is not this service`,
      fix: `Stop it first${pid === undefined ? "" : `: kill ${pid}`}. If it comes back, stop it in its supervisor`
    }
    return yield* ioError(error, exitStatus.alreadyRunning)
  }
  if (options.account === undefined || fs.existsSync(config.directory)) return
  return yield* ioError({
    message: `${config.directory} does not exist`,
    fix: `Create it as its owner: sudo -H -u ${options.account.user} secrets init`
  })
})

/** Rejects places that macOS keeps from the jobs of launchd. Their daemon would end with EPERM at each start. */
const checkFolders = Effect.fnUntraced(function* ({ options }: RenderedService) {
  const { arguments: given, home, program, runtime, writable } = options
  const files = [program, ...(runtime === undefined ? [] : [runtime]), ...given.filter(path.isAbsolute), ...writable]
  for (const file of files) {
    const folder = protectedFolder(resolvedPath(file), resolvedPath(home))
    if (folder === undefined) continue
    const error = {
      message: `${escapeValue(file)} is in ${folder}, which macOS keeps from the jobs of launchd`,
      fix: "Move it out of Desktop, Documents, Downloads, cloud folders and /Volumes, and install again"
    }
    return yield* ioError(error, exitStatus.badConfig)
  }
})

const conflictError = ({ message }: FileConflict) =>
  ioError(
    {
      message,
      fix: "Keep your changes in a drop-in (systemctl edit) or move the file; --force replaces it and keeps it as .bak"
    },
    exitStatus.rejected
  )

const printPlan = ({ after, before, changes }: ServicePlan, notes: ReadonlyArray<string> = []) => {
  const [first, last] = [before, after].map((steps) => steps.map(({ command }) => command.map(quoted).join(" ")))
  const lines = [
    ...(first ?? []).map((command) => `run ${command}`),
    ...changes.flatMap((change) => [
      ...(change.backup === undefined ? [] : [`keep ${change.path} as ${change.backup}`]),
      ...(change.kind === "remove" ? [`remove ${change.path}`] : [`write ${change.path}`, ...indented(change.text)])
    ]),
    ...(last ?? []).map((command) => `run ${command}`),
    ...notes
  ]
  return { lines, result: { changed: false, would: { before: first, changes, after: last }, remarks: notes } }
}

const indented = (text: string): ReadonlyArray<string> =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => `    ${line}`.trimEnd())

/** Quotes a word for a shell. */
const quoted = (word: string): string =>
  /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`

const backupNotes = ({ changes }: ServicePlan): ReadonlyArray<string> =>
  changes.flatMap(({ backup, path: file }) =>
    backup === undefined ? [] : [`the previous ${file} is kept as ${backup}`]
  )
