/**
 * Emits events through `joelclaw otel emit`, and looks for joelclaw until it is found.
 * joelclaw reads its standard input to the end before it handles SIGTERM, exits 0 on
 * failure, and is expensive to start. So one process runs at a time, a timeout kills its
 * process group with SIGKILL, and success is `ok` in its output. Source: the joelclaw
 * contract, sections 1 and 2.3.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import { childEnvironment } from "../domain/childEnvironment.ts"
import { spawnTool, type ToolOptions } from "../process/runTool.ts"
import { EmitFailed, type Envelope, startDelivery } from "./delivery.ts"

export interface JoelclawOptions {
  /** The absolute path of the command; undefined if it was not found. */
  readonly command: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** For one event. joelclaw limits its own request to 1.5 s. */
  readonly emitTimeout?: Duration.Input
  readonly shutdownTimeout?: Duration.Input
}

/** joelclaw may be installed, or a home directory mounted, while the daemon runs. */
const lookupInterval = Duration.seconds(30)

/** Emits events until the scope ends. */
export const startJoelclaw = Effect.fnUntraced(function* (options: JoelclawOptions) {
  const { environment, shutdownTimeout } = options
  let { command } = options
  const found = yield* Deferred.make<void>()

  const timeout = options.emitTimeout ?? Duration.seconds(5)
  const deliver = (event: Envelope) =>
    (command === undefined
      ? new EmitFailed({ reason: "not found" })
      : runJoelclaw(command, { env: environmentOf(environment, command), timeout }, event)
    ).pipe(
      Effect.timeout(timeout),
      Effect.catchCause((cause) => Effect.fail(new EmitFailed({ reason: reasonOf(cause) })))
    )

  const lookup = Effect.gen(function* () {
    command = yield* findJoelclaw(environment)
    if (command === undefined) return false
    yield* Effect.logInfo(`events: found joelclaw, sending through ${command}`)
    return yield* Deferred.succeed(found, undefined)
  })
  const lookupUntilFound = Effect.andThen(
    Effect.sleep(lookupInterval),
    Effect.repeat(lookup, { until: (isFound) => isFound, schedule: Schedule.spaced(lookupInterval) })
  )
  if (command === undefined) yield* Effect.forkScoped(lookupUntilFound)
  else yield* Deferred.succeed(found, undefined)

  return yield* startDelivery({
    kind: "joelclaw",
    deliver,
    target: () => command,
    ready: Deferred.await(found),
    shutdownTimeout
  })
})

const reasonOf = (cause: Cause.Cause<EmitFailed | Cause.TimeoutError | PlatformError>): string => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error?._tag === "EmitFailed") return error.reason
  return error?._tag === "TimeoutError" ? "timeout" : "cannot be run"
}

/** Returns the directories that launchd's PATH lacks. */
const usualDirectories = (home: string): ReadonlyArray<string> => [
  path.join(home, ".bun/bin"),
  path.join(home, ".local/bin"),
  "/opt/homebrew/bin",
  "/usr/local/bin"
]

/** Returns the absolute path of joelclaw by JOELCLAW_BIN, else by PATH, else from the usual directories. */
export const findJoelclaw = Effect.fnUntraced(function* (environment: JoelclawOptions["environment"]) {
  const configured = environment["JOELCLAW_BIN"]
  if (configured !== undefined && configured !== "") {
    return (yield* isExecutable(configured)) ? path.resolve(configured) : undefined
  }
  const onPath = (environment["PATH"] ?? "").split(path.delimiter).filter((directory) => path.isAbsolute(directory))
  const home = environment["HOME"] ?? ""
  const directories = [...onPath, ...usualDirectories(path.isAbsolute(home) ? home : "/nonexistent")]
  const candidates = directories.map((directory) => path.join(directory, "joelclaw"))
  const executable = yield* Effect.forEach(candidates, isExecutable, { concurrency: "unbounded" })
  return candidates.find((_, index) => executable[index])
})

/** Checks asynchronously, because a directory may be on a server that does not respond. */
const isExecutable = (file: string): Effect.Effect<boolean> =>
  Effect.callback((resume) =>
    fs.access(file, fs.constants.X_OK, (error) => {
      if (error !== null) return resume(Effect.succeed(false))
      fs.stat(file, (_, stats) => resume(Effect.succeed(stats?.isFile() === true)))
    })
  )

const maxOutputLength = 64 * 1024

/** Runs one `joelclaw otel emit`, which sends one event. Fails unless joelclaw reports success. Interruption kills its process group. */
const runJoelclaw = Effect.fnUntraced(function* (command: string, options: ToolOptions, event: Envelope) {
  const tool = yield* spawnTool([command, "otel", "emit"], options, {
    stdin: Stream.make(Buffer.from(JSON.stringify(event), "utf8")),
    stderr: "ignore"
  })
  const output = yield* Stream.runFold(
    tool.stdout,
    () => "",
    (text, chunk) => (text.length < maxOutputLength ? text + Buffer.from(chunk).toString("utf8") : text)
  )
  const result = decodeResult(output)
  if (Option.isNone(result)) return yield* new EmitFailed({ reason: "invalid output" })
  const { error, ok } = result.value
  if (!ok) return yield* new EmitFailed({ reason: error?.code ?? "not ok" })
}, Effect.scoped)

/** What `joelclaw otel emit` reads besides: where and as whom it sends, through which proxy, with which certificates. */
const emitVariables =
  /^((JOELCLAW|SLOG)_.*|OTEL_EMIT_(URL|TOKEN)|INNGEST_WORKER_URL|PI_SESSION_HANDLE|GATEWAY_ROLE|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS)$/i

/** Returns the variables of joelclaw. Its PATH has /usr/bin, from where it runs plutil on macOS. */
const environmentOf = (environment: JoelclawOptions["environment"], command: string): Record<string, string> => {
  const { PATH = "", ...inherited } = childEnvironment(environment, (name) => emitVariables.test(name))
  const directories = new Set([...PATH.split(":"), path.dirname(command), "/usr/bin", "/bin"])
  return { SLOG_SESSION_ID: "agent-secrets", ...inherited, PATH: [...directories].join(":") }
}

const EmitResult = Schema.Struct({
  ok: Schema.Boolean,
  error: Schema.optionalKey(Schema.Struct({ code: Schema.optionalKey(Schema.String) }))
})
const decodeResult = Schema.decodeUnknownOption(Schema.fromJsonString(EmitResult))
