/**
 * secrets serve: runs the daemon in the foreground until SIGTERM or SIGINT.
 *
 * It hardens the process before it reads any file. The daemon itself is imported
 * later, so that `serve --help` does not load it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { readSupervision, supervisionVariables } from "../../../domain/supervision.ts"
import { unsafePath } from "../../../process/pathOwners.ts"
import type { Config } from "../../../domain/Config.ts"
import { defineCommand } from "../../command/Command.ts"
import { type GlobalArgs, readSettings } from "../../command/settingsFile.ts"
import { CommandError } from "../../command/CommandError.ts"
import { checkOwner, loadConfig } from "../../command/settings.ts"
import { stderrLogger } from "../../command/stderrLogger.ts"
import { closeDebugger, disableCoreDumps } from "./hardening.ts"
import { watchSignals } from "./signals.ts"
import { startFailure } from "./startFailure.ts"
import { unsafeRuntimeOptions } from "./unsafeRuntimeOptions.ts"

export const serveCommand = defineCommand({
  name: "serve",
  summary: "Run the daemon in the foreground",
  arity: [0, 0],
  flags: {
    "skip-permission-check": { type: "boolean" },
    "listen-fd": {
      type: "string",
      value: "N",
      summary: "use the listening socket on file descriptor N; not needed for systemd socket activation"
    }
  },
  examples: ["secrets serve", "secrets serve --config ~/.agent-secrets/config.json"],
  run: Effect.fnUntraced(function* (given) {
    yield* Effect.sync(() => process.umask(0o077))
    yield* checkRuntimeOptions
    yield* closeDebugger
    yield* disableCoreDumps
    const supervision = yield* takeSupervision(given.option("listen-fd"))
    const args = yield* leaveDirectory(given)
    yield* checkConfigFile(args.option("config"))
    const config = yield* loadConfig(args, undefined, Effect.logWarning)
    yield* checkRules(args, config)
    yield* closeDebugger
    yield* checkOwner(config.directory, "secrets serve")
    const { runDaemon } = yield* Effect.promise(() => import("../../../daemon/Daemon.ts"))
    yield* closeDebugger
    // Node rejects a SIGPROF listener while a debugger is open.
    const signals = yield* Effect.sync(watchSignals)
    const readConfig = Effect.suspend(() =>
      hasSettings(args)
        ? Effect.tap(loadConfig(args, undefined, Effect.logWarning), (again) => checkRules(args, again))
        : Effect.undefined
    )
    const options = { environment: process.env, supervision, readConfig, ...signals }
    yield* Effect.mapError(runDaemon(config, options), startFailure)
    return { result: {} }
  }, Effect.provide(stderrLogger))
})

/**
 * Changes to the root directory: the one of the start may be removed or unmounted while the daemon runs. Returns the arguments
 * with the paths that were meant from there.
 */
const leaveDirectory = (args: GlobalArgs): Effect.Effect<GlobalArgs> =>
  Effect.sync(() => {
    const paths = new Map<string, string>()
    for (const flag of ["config", "socket"] as const) {
      const given = args.option(flag)
      if (given !== undefined) paths.set(flag, path.resolve(given))
    }
    const joelclaw = process.env["JOELCLAW_BIN"]
    if (joelclaw !== undefined && joelclaw !== "") process.env["JOELCLAW_BIN"] = path.resolve(joelclaw)
    process.chdir("/")
    return { option: (flag) => paths.get(flag) ?? args.option(flag) }
  })

/** Reads the supervisor's variables and removes them: child processes would take them for their own. */
const takeSupervision = Effect.fnUntraced(function* (listenFd: string | undefined) {
  const supervision = readSupervision(process.env, process.pid, listenFd)
  for (const name of supervisionVariables) delete process.env[name]
  if (Result.isSuccess(supervision)) return supervision.success
  return yield* rejected(supervision.failure, "Pass the sockets of config.json, as the units of this project do")
})

/** Rejects an unsafe file that --config names. The one of the state directory is checked with that. */
const checkConfigFile = (file: string | undefined) =>
  Effect.suspend(() => {
    const unsafe = file === undefined ? undefined : unsafePath(file)
    return unsafe === undefined ? Effect.void : rejected(`the settings are not safe: ${unsafe.reason}`, unsafe.fix)
  })

/** Rejects a policy or routes of the proxy that another user could change. */
const checkRules = (args: GlobalArgs, { policy, proxyRoutes }: Config) => {
  const settings = readSettings(args)
  return (policy === undefined && proxyRoutes.length === 0) || !("file" in settings)
    ? Effect.void
    : checkConfigFile(settings.file)
}

const hasSettings = (args: GlobalArgs): boolean => {
  const settings = readSettings(args)
  return "file" in settings && fs.existsSync(settings.file)
}

const checkRuntimeOptions = Effect.suspend(() => {
  const { refusal, suspicious } = unsafeRuntimeOptions({ execArgv: process.execArgv, environment: process.env })
  if (refusal !== undefined) return Effect.fail(rejected(refusal.reason, refusal.fix))
  if (suspicious.length === 0) return Effect.void
  const verb = suspicious.length === 1 ? "is" : "are"
  return Effect.logWarning(`${suspicious.join(", ")} ${verb} set: other code may be loaded into the daemon`)
})

const rejected = (message: string, fix: string) =>
  new CommandError({ message, code: "data_error", fix, exitStatus: exitStatus.badConfig })
