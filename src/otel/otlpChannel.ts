/**
 * One signal on its way to a collector, through Effect's own exporter: one request
 * at a time, of what has gathered since the last.
 *
 * Whatever the collector does (is away, hangs, answers nonsense without end), a
 * request ends in time, what waits is bounded, and the end of the channel takes a
 * second at the most. Effect's exporter tries again three times and then
 * leaves the collector alone for a minute; what comes meanwhile is lost and counted.
 */
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as HttpClient from "effect/http/HttpClient"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import { fromMillis } from "../domain/Timestamp.ts"
import { Load } from "./otlpLoad.ts"
import { guarded } from "./otlpGuard.ts"
import type { Signal } from "../domain/OtlpConfig.ts"
import type { SignalSettings } from "./otlpSettings.ts"

/** What Effect's exporters need. */
export type Needs = OtlpExporter.Flusher | OtlpSerialization.OtlpSerialization | HttpClient.HttpClient | Scope.Scope

export interface ChannelOptions<A> {
  readonly signal: Signal
  readonly settings: SignalSettings
  readonly serialization: OtlpSerialization.OtlpSerialization["Service"]
  /** How much is let in within a second; nothing of the figures, which are asked for and not given. */
  readonly perSecond: number
  /** Makes Effect's exporter. It is given `never` for its own interval: the channel says when. */
  readonly make: Effect.Effect<A, never, Needs>
  /** Puts in how many were lost since that was last told. */
  readonly tellLost?: (exporter: A, lost: number) => void
}

export interface Channel<A> {
  readonly exporter: A
  readonly load: Pick<Load, "admit" | "waiting" | "sent" | "lost" | "lastFailure">
}

/** The exporter's own clock is not used; the longest that a timer of Node takes. */
export const never = Duration.days(24)
/** What everything that is left gets at the end. */
const farewell = Duration.millis(900)
/** The same where the collector has just failed. */
const shortFarewell = Duration.millis(200)
/** A collector that asks for more patience than this is not waited for. */
const longestRequest = Duration.seconds(60)
const endless = "it does not come to an end"

/** Starts it; it ends with the scope. */
export const open = Effect.fnUntraced(function* <A>(options: ChannelOptions<A>) {
  const { settings, signal } = options
  const load = new Load(options.perSecond)
  const state = { ending: false, closed: false }
  let run: Effect.Effect<void> = Effect.void

  const client = guarded(yield* HttpClient.HttpClient, {
    timeout: Duration.millis(settings.timeout),
    isClosed: () => state.closed,
    isEnding: () => state.ending,
    note: (failure) => load.hear(failure)
  })
  const exporter = yield* options.make.pipe(
    Effect.provideService(HttpClient.HttpClient, client),
    Effect.provideService(
      OtlpSerialization.OtlpSerialization,
      counting(options.serialization, (count) => void (load.taken += count))
    ),
    // What it registers is how the channel has it send.
    Effect.provideService(OtlpExporter.Flusher, {
      flush: Effect.void,
      register: (flush) => Effect.sync(() => void (run = flush))
    }),
    // Everything is given; a variable that cannot be read would end the daemon.
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({}))
  )

  const send = Effect.gen(function* () {
    const untold = options.tellLost === undefined ? 0 : load.lost - load.told
    if (untold > 0) options.tellLost?.(exporter, untold)
    load.begin(untold)
    const quiet = Effect.provideService(run, Logger.CurrentLoggers, new Set())
    const change = load.settle(Option.isSome(yield* Effect.timeoutOption(quiet, longestRequest)))
    if (load.failing) {
      const at = fromMillis(yield* Clock.currentTimeMillis).text
      load.lastFailure = { at, reason: load.failure ?? endless }
    }
    if (change === "works") yield* Effect.logInfo(`events: OTLP works again for ${signal}`)
    if (change !== "fails") return
    const why = load.failure ?? endless
    yield* Effect.logWarning(`events: OTLP fails for ${signal} (${why}); they are lost until it works`)
  })

  const stopping = yield* Deferred.make<void>()
  const fiber = yield* Effect.gen(function* () {
    for (let last = false; !last;) {
      last = Option.isSome(yield* Effect.timeoutOption(Deferred.await(stopping), settings.interval))
      yield* send
    }
  }).pipe(Effect.forkDetach)
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      state.ending = true
      yield* Deferred.succeed(stopping, undefined)
      const patience = load.failure === undefined ? farewell : shortFarewell
      yield* Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), patience)
      state.closed = true
      yield* Effect.timeoutOption(Effect.interruptible(Fiber.interrupt(fiber)), Duration.millis(100))
    })
  )
  const channel: Channel<A> = { exporter, load }
  return channel
})

/** The serialization, with the number of records it was given each time. */
const counting = (
  inner: OtlpSerialization.OtlpSerialization["Service"],
  count: (records: number) => void
): OtlpSerialization.OtlpSerialization["Service"] => ({
  logs: (data) => {
    for (const { scopeLogs } of data.resourceLogs) {
      for (const { logRecords } of scopeLogs) count(logRecords?.length ?? 0)
    }
    return inner.logs(data)
  },
  traces: (data) => {
    for (const { scopeSpans } of data.resourceSpans) for (const { spans } of scopeSpans) count(spans.length)
    return inner.traces(data)
  },
  metrics: (data) => {
    count(1)
    return inner.metrics(data)
  }
})
