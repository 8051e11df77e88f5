/**
 * secrets daemon install, uninstall: the service comes or goes, as a whole or not at
 * all. --dry-run tells what would be done.
 *
 * It is installed when a daemon of its answers. Secrets, leases and settings are not
 * touched by either.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as path from "node:path"
import { makeDirectory } from "../../../daemon/files/makeDirectory.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { applyPlan, readServiceFiles } from "../../../service/applyPlan.ts"
import type { ServicePlan } from "../../../service/servicePlan.ts"
import { planInstall, planUninstall } from "../../../service/servicePlan.ts"
import type { JobState } from "../../../service/Supervisor.ts"
import { unknownJob } from "../../../service/Supervisor.ts"
import type { DaemonArgs } from "./daemonFlags.ts"
import { CommandError } from "../../command/CommandError.ts"
import { probeDaemon } from "./probeDaemon.ts"
import { fileError, conflictError, rollbackError, toolError, unsupportedPlatform } from "./serviceErrors.ts"
import { supervisorOf } from "./serviceScope.ts"
import { waitUntilReady } from "./waitUntilReady.ts"
import type { RenderedService } from "./renderService.ts"
import { choicesFromArgs, renderService } from "./renderService.ts"

export const installService = Effect.fnUntraced(function* (args: DaemonArgs) {
  const dry = args.flag("dry-run")
  const supervisor = yield* supervisorOf(args, "change")
  const wanted = yield* renderService(yield* choicesFromArgs(args, supervisor), supervisor)
  const found = yield* Effect.mapError(readServiceFiles(supervisor.places), fileError)
  const job = yield* stateFor(supervisor.state, dry)
  const loaded = isKnown(job)
  const situation = { supervisor, found, loaded, force: args.flag("force") }
  const plan = yield* Effect.mapError(Effect.fromResult(planInstall(situation, wanted.files)), conflictError)
  const file = supervisor.places[0]
  if (plan === undefined) return { text: `already installed, unchanged: ${file}\n`, result: { changed: false, file } }
  if (dry) return tellPlan(plan)
  yield* prepare(wanted, job)
  if (supervisor.name === "launchd") yield* Effect.mapError(makeDirectory(path.dirname(wanted.options.log)), fileError)
  const healthCheck = Effect.asVoid(waitUntilReady(wanted.config.socketPath, supervisor))
  yield* Effect.mapError(applyPlan(plan, { supervisor, found, loaded, healthCheck }), rollbackError)
  const remarks = yield* supervisor.remarks
  const pid = (yield* probeDaemon(wanted.config.socketPath))?.pid
  const running = pid === undefined ? "" : `, running as process ${pid}`
  return {
    text: [`installed for ${supervisor.name}${running}: ${file}`, ...backupsOf(plan), ...remarks, ""].join("\n"),
    result: { changed: true, file, pid, remarks }
  }
})

/** What would make the installation fail, told before anything is done. */
const prepare = Effect.fnUntraced(function* ({ config, options }: RenderedService, job: JobState) {
  const stranger = yield* probeDaemon(config.socketPath)
  if (stranger !== undefined && job.phase !== "running") return yield* occupied(stranger.pid)
  if (options.account === undefined || fs.existsSync(config.directory)) return
  return yield* unsupportedPlatform(
    `there is no ${config.directory}`,
    `Make it as the user who is to own it: sudo -u ${options.account.user} secrets init`
  )
})

export const uninstallService = Effect.fnUntraced(function* (args: DaemonArgs) {
  const dry = args.flag("dry-run")
  const supervisor = yield* supervisorOf(args, "change")
  const found = yield* Effect.mapError(readServiceFiles(supervisor.places), fileError)
  const job = yield* stateFor(supervisor.state, dry)
  const loaded = isKnown(job)
  const situation = { supervisor, found, loaded, force: args.flag("force") }
  const plan = yield* Effect.mapError(Effect.fromResult(planUninstall(situation)), conflictError)
  if (plan === undefined) return { text: "not installed\n", result: { changed: false } }
  if (dry) return tellPlan(plan)
  yield* Effect.mapError(applyPlan(plan, { supervisor, found, loaded, healthCheck: Effect.void }), rollbackError)
  return {
    text: ["uninstalled; secrets, leases and settings are where they were", ...backupsOf(plan), ""].join("\n"),
    result: { changed: true }
  }
})

/** Whether the supervisor has anything to do with it, now or at the next login. */
const isKnown = ({ enabled, phase }: JobState): boolean => enabled || (phase !== "unloaded" && phase !== "stopped")

/** A dry run is also of use where no supervisor answers. */
const stateFor = <E extends Parameters<typeof toolError>[0]>(state: Effect.Effect<JobState, E>, dry: boolean) =>
  dry
    ? Effect.map(
        Effect.option(state),
        Option.getOrElse(() => unknownJob)
      )
    : Effect.mapError(state, toolError)

const occupied = (pid: number | undefined) =>
  new CommandError({
    message: `a daemon is running already${pid === undefined ? "" : ` (process ${pid})`}, and it is not this service`,
    code: "io_error",
    fix: `Stop it first${pid === undefined ? "" : `: kill ${pid}`}. If it comes back, have its supervisor stop it`,
    exitStatus: exitStatus.alreadyRunning
  })

const tellPlan = ({ after, before, changes }: ServicePlan) => {
  const commands = [before, after].map((steps) => steps.map(({ words }) => words.map(quoted).join(" ")))
  const [first = [], last = []] = commands
  const text = [
    ...first.map((command) => `run ${command}`),
    ...changes.flatMap((change) => [
      ...(change.backup === undefined ? [] : [`keep ${change.path} as ${change.backup}`]),
      ...(change.kind === "remove"
        ? [`remove ${change.path}`]
        : [
            `write ${change.path}`,
            ...change.text
              .trimEnd()
              .split("\n")
              .map((line) => `    ${line}`.trimEnd())
          ])
    ]),
    ...last.map((command) => `run ${command}`),
    ""
  ].join("\n")
  return { text, result: { changed: false, would: { before: first, changes, after: last } } }
}

/** As a shell would take it. */
const quoted = (word: string): string =>
  /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`

const backupsOf = ({ changes }: ServicePlan): ReadonlyArray<string> =>
  changes.flatMap(({ backup, path: file }) => (backup === undefined ? [] : [`what was in ${file} is in ${backup}`]))
