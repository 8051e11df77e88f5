/**
 * Events through `joelclaw otel emit`, as it really behaves.
 *
 * It reads its standard input to the end before anything else and does not hear
 * SIGTERM meanwhile; it exits 0 when it failed; it costs about half a second of
 * CPU. So: the event goes in on standard input, which is closed; one process at a
 * time; a deadline that ends in SIGKILL for its process group; success is `ok` in
 * its answer. Debug events beyond what the other side keeps are not sent at all.
 * Source: the joelclaw contract, sections 1 and 2.3.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ChildProcess from "effect/process/ChildProcess"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import { randomUUID } from "node:crypto"
import { constants } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import type { OtelEvent } from "./OtelEvent.ts"

export interface JoelclawOptions {
  /** The absolute path of the command. */
  readonly command: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Ends one emission; it starts in half a second and gives its own request 1.5 s. */
  readonly deadline?: Duration.Input
  /** What the events that are left get at the end. */
  readonly farewell?: Duration.Input
}

/** An event as it goes out: stamped once, so that sending it twice is harmless. */
type Envelope = OtelEvent & { readonly id: string; readonly timestamp: number; readonly source: string }

/** Events that may wait; beyond that the oldest is dropped. */
const queueLength = 256
/** The receiving side drops what exceeds this for one action; sending it would only cost CPU. */
const debugPerMinute = 12
/** Enough of an answer to judge it by. */
const answerLength = 64 * 1024

/** Where launchd's PATH does not lead: below the home directory, and Homebrew. */
const usualPlaces = (home: string): ReadonlyArray<string> => [
  path.join(home, ".bun/bin"),
  path.join(home, ".local/bin"),
  "/opt/homebrew/bin",
  "/usr/local/bin"
]

/** The command by JOELCLAW_BIN, on the PATH or in the usual places; undefined if it is nowhere. */
export const findJoelclaw = Effect.fn("findJoelclaw")(function* (
  environment: Readonly<Record<string, string | undefined>>
) {
  const named = environment["JOELCLAW_BIN"]
  if (named !== undefined && named !== "") return (yield* isExecutable(named)) ? path.resolve(named) : undefined
  const onPath = (environment["PATH"] ?? "").split(path.delimiter).filter((directory) => path.isAbsolute(directory))
  for (const directory of [...onPath, ...usualPlaces(environment["HOME"] ?? "/nonexistent")]) {
    const command = path.join(directory, "joelclaw")
    if (yield* isExecutable(command)) return command
  }
  return undefined
})

const isExecutable = (file: string): Effect.Effect<boolean> =>
  Effect.promise(async () => {
    try {
      await fs.access(file, constants.X_OK)
      return (await fs.stat(file)).isFile()
    } catch {
      return false
    }
  })

/** Starts the worker; gives the members of the sink. At the end of the scope the last events get a moment, then it is over. */
export const startJoelclaw = Effect.fnUntraced(function* (options: JoelclawOptions) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const queue = yield* Queue.sliding<Envelope, Cause.Done>(queueLength)
  const mayDebug = debugBudget()
  let failing = false
  let dropped = 0

  const deliver = Effect.fnUntraced(function* (event: Envelope) {
    const process = yield* spawner.spawn(
      ChildProcess.make(options.command, ["otel", "emit"], {
        stdin: Stream.make(Buffer.from(JSON.stringify(event), "utf8")),
        stderr: "ignore",
        cwd: "/",
        env: childEnvironment(options.environment, options.command),
        extendEnv: false,
        killSignal: "SIGKILL"
      })
    )
    const answer = yield* Stream.runFold(
      process.stdout,
      () => "",
      (text, piece) => (text.length < answerLength ? text + Buffer.from(piece).toString("utf8") : text)
    )
    return yield* judge(answer)
  }, Effect.scoped)

  const report = Effect.fnUntraced(function* (failure: string | undefined) {
    const changed = failing !== (failure !== undefined)
    failing = failure !== undefined
    if (failing) dropped += 1
    if (!changed) return
    yield* failing
      ? Effect.logWarning(`events: joelclaw fails (${failure}); they are lost until it works`)
      : Effect.logInfo("events: joelclaw works again")
  })

  const worker = Queue.take(queue).pipe(
    Effect.flatMap((event) =>
      deliver(event).pipe(
        Effect.timeout(options.deadline ?? Duration.seconds(5)),
        Effect.as(undefined),
        Effect.catchCause((cause) => Effect.succeed(reasonOf(cause))),
        Effect.flatMap(report)
      )
    ),
    Effect.forever,
    Effect.ignore
  )

  const fiber = yield* Effect.forkDetach(worker)
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      const waiting = yield* Queue.clear(queue)
      for (const event of waiting) if (event.level !== "debug") Queue.offerUnsafe(queue, event)
      yield* Queue.end(queue)
      yield* Fiber.await(fiber).pipe(atMost(options.farewell ?? Duration.millis(1000)))
      yield* Fiber.interrupt(fiber).pipe(atMost(Duration.millis(100)))
    }).pipe(Effect.ignore)
  )

  const emit = (event: OtelEvent): Effect.Effect<void> =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      if (event.level === "debug" && !mayDebug(event.action, now)) return
      if (Queue.sizeUnsafe(queue) >= queueLength) dropped += 1
      Queue.offerUnsafe(queue, { ...event, id: randomUUID(), timestamp: now, source: "agent-secrets" })
    })
  return { emit, dropped: Effect.sync(() => dropped) }
})

/** Waits for something within a finalizer, which nothing else could cut short. */
const atMost = (duration: Duration.Input) => (self: Effect.Effect<unknown>) =>
  Effect.timeoutOption(Effect.interruptible(self), duration)

/** What the child needs and no more. On macOS it runs plutil, which is in /usr/bin. */
const childEnvironment = (
  environment: Readonly<Record<string, string | undefined>>,
  command: string
): Record<string, string> => {
  const { NODE_OPTIONS: _options, PATH: _path, ...inherited } = environment
  const given = Object.entries(inherited).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  const directories = [...(environment["PATH"] ?? "").split(":"), path.dirname(command), "/usr/bin", "/bin"]
  return {
    SLOG_SESSION_ID: "agent-secrets",
    ...Object.fromEntries(given),
    PATH: [...new Set(directories.filter((directory) => directory !== ""))].join(":")
  }
}

/** The answer tells whether the event arrived; the exit status does not. */
const judge = (answer: string): Effect.Effect<void, EmitFailed> => {
  const decoded = decodeAnswer(answer)
  if (Option.isNone(decoded)) return Effect.fail(new EmitFailed({ reason: "it gave no answer" }))
  return decoded.value.ok ? Effect.void : Effect.fail(new EmitFailed({ reason: decoded.value.error?.code ?? "not ok" }))
}

class EmitFailed extends Data.TaggedError("EmitFailed")<{ readonly reason: string }> {}

const Answer = Schema.Struct({
  ok: Schema.Boolean,
  error: Schema.optionalKey(Schema.Struct({ code: Schema.optionalKey(Schema.String) }))
})
const decodeAnswer = Schema.decodeUnknownOption(Schema.fromJsonString(Answer))

const reasonOf = (cause: Cause.Cause<EmitFailed | Cause.TimeoutError | PlatformError>): string => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error === undefined) return "it could not be run"
  if (error._tag === "EmitFailed") return error.reason
  return error._tag === "TimeoutError" ? "it did not end in time" : "it could not be run"
}

/** Lets so many debug events of one action pass in each minute. */
const debugBudget = (): ((action: string, now: number) => boolean) => {
  const sent = new Map<string, { minute: number; count: number }>()
  return (action, now) => {
    const minute = Math.floor(now / 60_000)
    const known = sent.get(action)
    const count = known?.minute === minute ? known.count + 1 : 1
    sent.set(action, { minute, count })
    return count <= debugPerMinute
  }
}
