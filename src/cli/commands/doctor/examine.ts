/**
 * What the checks of `secrets doctor` start from: the settings, and the daemon if one answers.
 *
 * With a config.json that cannot be used, the checks look where everything is by default. It
 * fails only without a home directory.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type Config, decodeConfig, type UnknownKey, unknownKeys } from "../../../domain/Config.ts"
import { type ClientError, call, type DaemonAddress, request, returnsNever } from "../../../rpc/client/client.ts"
import { matchesShape, optional, type Shaped } from "../../../domain/shape.ts"
import { CommandError } from "../../command/CommandError.ts"
import { daemonAddress } from "../../command/daemonAddress.ts"
import { configError, type GlobalArgs, homeDirectory, readSettings } from "../../command/settingsFile.ts"
import { explainAccess } from "../../command/ownership.ts"
import type { Problem } from "../../command/Output.ts"
import { diagnosticsExample, statusExample } from "../status/status.ts"

export interface Examined {
  readonly args: GlobalArgs
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly config: Config
  /** Why config.json cannot be used. */
  readonly settingsProblem: Problem | undefined
  readonly unknownKeys: ReadonlyArray<UnknownKey>
  readonly socketPath: string
  readonly daemon: Result.Result<RunningDaemon, ClientError>
}

export interface RunningDaemon {
  readonly status: Shaped<typeof statusExample>
  /** What each socket tells; the predecessor has none. */
  readonly process: Shaped<typeof processExample> | undefined
  /** What a socket without limits tells. */
  readonly diagnostics: Shaped<typeof diagnosticsExample> | undefined
}

const processExample = {
  pid: 0,
  version: "",
  build: optional(""),
  uptime_ms: 0,
  started_by: optional("")
}

/** After this long a daemon counts as one that hangs. */
const probeTimeout = Duration.seconds(2)

export const examine = Effect.fnUntraced(function* (args: GlobalArgs) {
  const home = homeDirectory()
  if (typeof home !== "string") return yield* new CommandError(home)
  const settings = yield* Effect.sync(() => settingsIn(args, home))
  const address = daemonAddress(args)
  const daemon =
    "exitStatus" in address
      ? { socketPath: settings.config.socketPath }
      : { socketPath: address.socketPath, ownerSocket: address.ownerSocket }
  const examined: Examined = {
    args,
    environment: process.env,
    ...settings,
    socketPath: daemon.socketPath,
    daemon: yield* Effect.result(askDaemon({ ...daemon, timeout: probeTimeout, returnsSoon: returnsNever }))
  }
  return examined
})

const settingsIn = (args: GlobalArgs, home: string): Pick<Examined, "config" | "settingsProblem" | "unknownKeys"> => {
  const read = readSettings(args, home)
  const byDefault = () => Result.getOrThrow(decodeConfig("{}", home)).config
  if ("exitStatus" in read) return { config: byDefault(), settingsProblem: explainAccess(read), unknownKeys: [] }
  const { file, text } = read
  return Result.match(decodeConfig(text, home, process.env), {
    onSuccess: ({ config }) => ({ config, settingsProblem: undefined, unknownKeys: unknownKeys(JSON.parse(text)) }),
    onFailure: ({ reason }) => ({
      config: byDefault(),
      settingsProblem: configError(`${reason} (${file})`, `Correct ${file}`),
      unknownKeys: []
    })
  })
}

const askDaemon = Effect.fnUntraced(function* (address: DaemonAddress) {
  const [status, told] = yield* Effect.all(
    [
      call(address, "secrets.status", {}, statusExample),
      Effect.orElseSucceed(request(address, "daemon.status", {}), () => undefined)
    ],
    { concurrency: "unbounded" }
  )
  const daemon: RunningDaemon = {
    status,
    process: matchesShape(told, processExample) ? told : undefined,
    diagnostics: matchesShape(told, diagnosticsExample) ? told : undefined
  }
  return daemon
})
