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
import { samplingVariables } from "../../domain/telemetry.ts"
import { daemonAddress, defaultClientId } from "./daemonAddress.ts"
import { type GlobalArgs, configError, homeDirectory, readSettings } from "./settingsFile.ts"
import { CommandError } from "./CommandError.ts"
import { type Problem, printNotice } from "./Output.ts"

/** Prints a warning about config.json. The daemon logs it instead. */
const printWarning = (text: string): Effect.Effect<void> => Effect.sync(() => printNotice(`secrets: warning: ${text}`))

/** Returns all settings, for commands that work with the files; `homeOf` is the home directory of another user. */
export const loadConfig = Effect.fnUntraced(function* (
  args: GlobalArgs,
  homeOf?: string,
  warn: (text: string) => Effect.Effect<void> = printWarning
) {
  const settings = readSettings(args, homeOf)
  if ("exitStatus" in settings) return yield* failExplained(settings)
  const { file, home, text } = settings
  const hasVariable = Object.values(samplingVariables).some((name) => process.env[name])
  const decoded =
    text === "{}" && !hasVariable
      ? Result.succeed({ config: (yield* plainDefaults).defaultConfig(home), warnings: [] })
      : (yield* schema).decodeConfig(text, home, process.env)
  if (Result.isFailure(decoded)) {
    return yield* new CommandError(configError(`${decoded.failure.message} (${file})`, `Correct ${file}`))
  }
  const { config, warnings } = decoded.success
  if (warnings.length > 0) yield* warn(`config: ${warnings.join("; ")} (${file})`)
  const socket = args.option("socket")
  if (socket === undefined) return config
  const changed = { ...config, socketPath: path.resolve(socket) }
  const reason = (yield* schema).samePaths(changed)
  if (reason !== undefined) {
    return yield* new CommandError(configError(`--socket: ${reason}`, "Choose another path with --socket"))
  }
  return changed
})

// Loaded on demand: most people have no config.json, and many commands need no settings at all.
const plainDefaults = Effect.promise(() => import("../../domain/defaultConfig.ts"))
const schema = Effect.promise(() => import("../../domain/Config.ts"))

/** Returns the daemon to call. */
export const loadDaemon = Effect.fnUntraced(function* (args: GlobalArgs) {
  const address = daemonAddress(args)
  if ("exitStatus" in address) return yield* failExplained(address)
  const { seconds, ...rest } = address
  const daemon: DaemonAddress = { ...rest, timeout: Duration.seconds(seconds) }
  return daemon
})

/** Returns the client id that a command sends if no flag names one. */
export const loadClientId = Effect.fnUntraced(function* (args: GlobalArgs) {
  const clientId = defaultClientId(args)
  return typeof clientId === "string" ? clientId : yield* failExplained(clientId)
})

/** Rejects the state directory of another user, and a HOME of one: what `command` creates there, that user could not use. */
export const checkOwner = Effect.fnUntraced(function* (directory: string, command: string) {
  const { foreignDirectory } = yield* Effect.promise(() => import("./ownership.ts"))
  const home = homeDirectory()
  const isDefault = typeof home === "string" && path.resolve(directory) === path.resolve(home, ".agent-secrets")
  const refusal = foreignDirectory(directory, command, isDefault ? home : undefined)
  if (refusal !== undefined) return yield* new CommandError({ ...refusal, code: "io_error" })
})

const failExplained = Effect.fnUntraced(function* (problem: Problem) {
  const { explainAccess } = yield* Effect.promise(() => import("./ownership.ts"))
  return yield* new CommandError(explainAccess(problem))
})
