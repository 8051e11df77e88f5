/**
 * The settings of a command, as Effects: config.json, and the flags that override it.
 *
 * The daemon and its clients read the same file. Without one, everything is in
 * ~/.agent-secrets.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as path from "node:path"
import type { DaemonAddress } from "../../rpc/client/client.ts"
import { type GlobalArgs, configError, daemonAddress, readSettings } from "./daemonAddress.ts"
import { CommandError } from "./CommandError.ts"

/** Returns all settings, for commands that work with the files; `homeOf` is the home directory of another user. */
export const loadConfig = Effect.fnUntraced(function* (args: GlobalArgs, homeOf?: string) {
  const settings = readSettings(args, homeOf)
  if ("exitStatus" in settings) return yield* new CommandError(settings)
  const { file, home, text } = settings
  const { decodeConfig } = yield* Effect.promise(() => import("../../domain/Config.ts"))
  const decoded = decodeConfig(text, home, process.env)
  if (Result.isFailure(decoded)) {
    return yield* new CommandError(configError(`${decoded.failure.message} (${file})`, `Correct ${file}`))
  }
  const { config, warnings } = decoded.success
  if (warnings.length > 0) {
    const { stderrLogger } = yield* Effect.promise(() => import("./stderrLogger.ts"))
    yield* Effect.provide(Effect.logWarning(`config: ${warnings.join("; ")} (${file})`), stderrLogger)
  }
  const socket = args.option("socket")
  return socket === undefined ? config : { ...config, socketPath: path.resolve(socket) }
})

/** Returns the daemon to call. */
export const loadDaemon = Effect.fnUntraced(function* (args: GlobalArgs) {
  const address = daemonAddress(args)
  if ("exitStatus" in address) return yield* new CommandError(address)
  const { seconds, ...sockets } = address
  const daemon: DaemonAddress = { ...sockets, timeout: Duration.seconds(seconds) }
  return daemon
})
