/**
 * The service of this machine: rendered from the choices of a command line, and as installed.
 *
 * The installed file carries its choices, so that `status` can render it again and compare.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Config } from "../../../domain/Config.ts"
import { socketsOf } from "../../../domain/ListenSocket.ts"
import { launchdLogs } from "../../../domain/paths.ts"
import { lastingProgram, lastingRuntime } from "../../../service/lastingRuntime.ts"
import { type ServiceChoices, hasSocket, readServiceFiles, readStamp, stamp } from "../../../service/ServiceFile.ts"
import type { ServiceOptions } from "../../../service/ServiceOptions.ts"
import type { Supervisor } from "../../../service/Supervisor.ts"
import { failUsage } from "../../command/CommandError.ts"
import { loadConfig, loadDaemon } from "../../command/settings.ts"
import type { DaemonArgs } from "./daemonFlags.ts"
import { currentUser, fileError, ioError, supervisorOf } from "./supervisorOf.ts"

/** Returns the absolute paths by which a supervisor can run this program; `runtime` is undefined for the binary. */
export const thisProgram = Effect.sync((): Pick<ServiceOptions, "runtime" | "program"> => {
  // In the binary, process.argv[1] is a path inside Bun's virtual file system.
  if (process.versions["bun"] !== undefined)
    return { runtime: undefined, program: lastingProgram(process.execPath, resolvedPath) }
  return {
    runtime: lastingRuntime(process.execPath, resolvedPath),
    program: lastingProgram(path.resolve(process.argv[1] ?? ""), resolvedPath)
  }
})

/** Resolves the links of a path as far as it exists. */
export const resolvedPath = (file: string): string => {
  try {
    return fs.realpathSync(file)
  } catch {
    const parent = path.dirname(file)
    return parent === file ? file : path.join(resolvedPath(parent), path.basename(file))
  }
}

export const choicesFromArgs = Effect.fnUntraced(function* (args: DaemonArgs, supervisor: Supervisor) {
  const { program } = yield* thisProgram
  const [user, group] = [args.option("user"), args.option("group")]
  if (args.flag("system") && user === undefined) {
    return yield* failUsage(
      "a system service needs --user, the user it runs as",
      "Run: secrets daemon install --system --user NAME [--group NAME]"
    )
  }
  if ([user, group].some((name) => name !== undefined && !/^[A-Za-z_][\w.-]*$/.test(name)))
    return yield* failUsage("--user and --group take the name of an account", "List yours with: id")
  if (args.flag("socket-activation") && supervisor.name === "launchd") {
    return yield* failUsage(
      "--socket-activation requires systemd",
      "Omit --socket-activation: clients retry while the daemon restarts"
    )
  }
  const [config, socket] = [args.option("config"), args.option("socket")].map((given) =>
    given === undefined ? undefined : path.resolve(given)
  )
  return { program, config, socket, user, group, socketActivation: args.flag("socket-activation") || undefined }
})

/** Renders the stamped files for the current path of the program. */
export const renderService = Effect.fnUntraced(function* (choices: ServiceChoices, supervisor: Supervisor) {
  const { runtime, program } = yield* thisProgram
  const { config: configPath, group, socket, user } = choices
  const home = user === undefined ? (yield* currentUser).home : yield* Effect.mapError(supervisor.homeOf(user), ioError)
  const config = yield* loadConfig({ option: (flag) => ({ config: configPath, socket })[String(flag)] }, home)
  const options: ServiceOptions = {
    runtime,
    program,
    arguments: [
      ...(configPath === undefined ? [] : ["--config", configPath]),
      ...(socket === undefined ? [] : ["--socket", socket])
    ],
    home,
    log: launchdLogs(home, config.directory)[user === undefined ? "agent" : "daemon"],
    account: user === undefined ? undefined : { user, group },
    writable: writableDirectories(config),
    socket: choices.socketActivation === true ? { path: config.socketPath, group: socketGroup(config) } : undefined
  }
  const paths = [home, program, runtime ?? "", config.socketPath, ...options.arguments, ...options.writable]
  // A line break would begin another setting of the file.
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  if (paths.some((value) => /[\u0000-\u001f\u007f]/.test(value)))
    return yield* failUsage("a path contains a control character", "Choose paths without line breaks and the like")
  // systemd 252 compares the path with its own escaped form at a reload, and closes the socket where they differ.
  if (options.socket !== undefined && !/^[ !#-&(-[\]-~]*$/.test(options.socket.path)) {
    return yield* failUsage(
      "with --socket-activation, the socket's path cannot contain quotes, backslashes or non-ASCII characters",
      "Omit --socket-activation, or set another socket_path in config.json"
    )
  }
  const files = supervisor.render(options).map((file) => ({ ...file, text: stamp(file.text, { ...choices, program }) }))
  return { config, options, files }
})

export type RenderedService = Effect.Success<ReturnType<typeof renderService>>

const socketGroup = ({ socketAccess }: Config): string | undefined =>
  socketAccess.mode === 0o660 ? socketAccess.group : undefined

const writableDirectories = (config: Config): ReadonlyArray<string> => {
  const sockets = socketsOf(config).map((socket) => socket.path)
  const files = [...sockets, config.identityPath, config.secretsPath, config.auditPath, config.leasesPath]
  return [...new Set([config.directory, ...files.map((file) => path.dirname(file))])]
}

/** Returns undefined if no file is installed, without asking the supervisor. */
export const installedService = Effect.fnUntraced(function* (args: DaemonArgs) {
  // Elsewhere `restart` still works: it asks the daemon.
  if (process.platform !== "darwin" && process.platform !== "linux") return undefined
  const supervisor = yield* supervisorOf(args, "read")
  const installed = yield* Effect.mapError(readServiceFiles(supervisor.paths), fileError)
  const [main] = installed
  if (main?.text === undefined) return undefined
  const choices = readStamp(main.text)?.choices
  const job = yield* Effect.mapError(supervisor.state, ioError)
  const daemon = yield* daemonOf(args, choices, supervisor)
  return { supervisor, job, choices, withSocket: hasSocket(installed), daemon }
})

export type InstalledService = NonNullable<Effect.Success<ReturnType<typeof installedService>>>

/** Returns the address of a service's daemon: from the flags, or else from the choices of its installation. */
export const daemonOf = Effect.fnUntraced(function* (
  args: DaemonArgs,
  choices: ServiceChoices | undefined,
  supervisor: Supervisor
) {
  const daemon = yield* loadDaemon(args)
  if (choices === undefined || (args.option("socket") ?? args.option("config")) !== undefined) return daemon
  const { config } = yield* renderService(choices, supervisor)
  const [own] = socketsOf(config)
  return { ...daemon, socketPath: config.socketPath, ownerSocket: own?.role === "owner" ? own.path : undefined }
})
