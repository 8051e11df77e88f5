/**
 * The service that would be installed now: its options, settled, and its files.
 *
 * It is made of what was chosen, so that `status` can make it again from the choices
 * that stand in the installed file, and compare.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import type { Config } from "../../../domain/Config.ts"
import type { ServiceFile, ServiceOptions } from "../../../service/ServiceOptions.ts"
import type { ServiceChoices } from "../../../service/stamp.ts"
import { stamp } from "../../../service/stamp.ts"
import type { SupervisorShape } from "../../../service/Supervisor.ts"
import { thisProgram } from "../../../service/thisProgram.ts"
import type { DaemonArgs } from "./daemonFlags.ts"
import { failUsage } from "../../command/CommandError.ts"
import { toolError } from "./serviceErrors.ts"
import { currentUser } from "./serviceScope.ts"
import { loadConfig } from "../../command/settings.ts"

/** What the line chooses. */
export const choicesFromArgs = Effect.fnUntraced(function* (args: DaemonArgs, supervisor: SupervisorShape) {
  const { program } = yield* thisProgram
  const [user, group] = [args.option("user"), args.option("group")]
  if (args.flag("system") && user === undefined) {
    return yield* failUsage(
      "a service of the system needs a user that it runs as",
      "secrets daemon install --system --user NAME [--group NAME]"
    )
  }
  const odd = [user, group].find((name) => name !== undefined && !/^[A-Za-z_][\w.-]*$/.test(name))
  if (odd !== undefined) return yield* failUsage("--user and --group take the name of an account", "See them with: id")
  if (args.flag("socket-activation") && supervisor.name === "launchd") {
    return yield* failUsage(
      "launchd keeps no socket for the daemon; only systemd does",
      "Leave --socket-activation out: clients try again while the daemon is started anew"
    )
  }
  const config = absolute(args.option("config"))
  const socket = absolute(args.option("socket"))
  const choices: ServiceChoices = {
    program,
    ...(config === undefined ? {} : { config }),
    ...(socket === undefined ? {} : { socket }),
    ...(user === undefined ? {} : { user }),
    ...(group === undefined ? {} : { group }),
    ...(args.flag("socket-activation") ? { socketActivation: true } : {})
  }
  return choices
})

export interface RenderedService {
  readonly config: Config
  readonly options: ServiceOptions
  /** With their marks. */
  readonly files: ReadonlyArray<ServiceFile>
}

/** Made of choices, with the program as it is called now. */
export const renderService = Effect.fnUntraced(function* (choices: ServiceChoices, supervisor: SupervisorShape) {
  const { runtime, program } = yield* thisProgram
  const { config: configPath, group, socket, user } = choices
  const home =
    user === undefined ? (yield* currentUser).home : yield* Effect.mapError(supervisor.homeOf(user), toolError)
  const config = yield* loadConfig({ option: (flag) => ({ config: configPath, socket })[String(flag)] }, home)
  const options: ServiceOptions = {
    runtime,
    program,
    arguments: [
      ...(configPath === undefined ? [] : ["--config", configPath]),
      ...(socket === undefined ? [] : ["--socket", socket])
    ],
    home,
    log:
      user === undefined
        ? path.join(home, "Library/Logs/agent-secrets.log")
        : path.join(config.directory, "daemon.log"),
    account: user === undefined ? undefined : { user, group },
    writable: writtenIn(config),
    socket: choices.socketActivation === true ? { path: config.socketPath, group: groupOf(config) } : undefined
  }
  // A line break in a path would begin another line of the file, and with it another setting.
  const odd = [home, program, runtime ?? "", config.socketPath, ...options.arguments, ...options.writable].some(
    (value) =>
      // oxlint-disable-next-line no-control-regex -- these are what is looked for
      /[\u0000-\u001f\u007f]/.test(value)
  )
  if (odd)
    return yield* failUsage(
      "one of the paths has a control character in it",
      "Choose paths without line breaks and the like"
    )
  if (options.socket !== undefined && !/^[ !#-&(-[\]-~]*$/.test(options.socket.path)) {
    // Seen with 252: it compares the path with its own escaped form, and closes what it then does not know.
    return yield* failUsage(
      "systemd loses a socket with a quote, a backslash or a letter beyond ASCII in its path when it reads its units again",
      "Leave --socket-activation out, or put the socket elsewhere: socket_path in config.json"
    )
  }
  const files = supervisor.files(options).map((file) => ({ ...file, text: stamp(file.text, { ...choices, program }) }))
  const wanted: RenderedService = { config, options, files }
  return wanted
})

const absolute = (given: string | undefined): string | undefined =>
  given === undefined ? undefined : path.resolve(given)

const groupOf = ({ socketAccess }: Config): string | undefined =>
  socketAccess.mode === 0o660 ? socketAccess.group : undefined

const writtenIn = (config: Config): ReadonlyArray<string> => {
  const files = [config.socketPath, config.identityPath, config.secretsPath, config.auditPath, config.leasesPath]
  return [...new Set([config.directory, ...files.map((file) => path.dirname(file))])]
}
