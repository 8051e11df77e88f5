/**
 * The service that emits events. `emit` cannot fail and does not wait: it samples the event
 * and offers it to bounded queues, one for each receiver. These are joelclaw, once it is
 * found, and an OpenTelemetry collector where one is configured; without one, no
 * OpenTelemetry code is loaded.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import { levels, type SamplingPolicy } from "../domain/telemetry.ts"
import type { OtlpConfig } from "../domain/TelemetryConfig.ts"
import type { SinkState } from "./delivery.ts"
import { findJoelclaw } from "./findJoelclaw.ts"
import { startJoelclaw } from "./joelclaw.ts"
import type { OtelEvent } from "./OtelEvent.ts"
import { describeTargets, type OtlpSettings, otlpSettings } from "./otlpSettings.ts"
import { CurrentSpanExporter } from "./span.ts"

export class OtelSink extends Context.Service<
  OtelSink,
  {
    readonly emit: (event: OtelEvent) => Effect.Effect<void>
    /** How many events were dropped, because a queue was full or sending failed. */
    readonly dropped: Effect.Effect<number>
    /** The state of each receiver. */
    readonly state: Effect.Effect<ReadonlyArray<SinkState>>
  }
>()("agent-secrets/OtelSink") {
  /** Pushes each event to the array, for tests. */
  static readonly layerMemory = (events: Array<OtelEvent> = []) =>
    Layer.succeed(OtelSink, {
      emit: (event) => Effect.sync(() => void events.push(event)),
      dropped: Effect.succeed(0),
      state: Effect.succeed([])
    })
}

export interface SinkOptions {
  /** For JOELCLAW_BIN, PATH and HOME, and the OTEL_* variables. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly sampling: SamplingPolicy
  readonly otlp?: OtlpConfig | undefined
  /** How long joelclaw may take with the remaining events at the stop: one second if absent. */
  readonly shutdownTimeout?: Duration.Input
}

/** Provides the sink and the span exporter. */
export const sinkLayer = ({ environment, otlp: config, sampling, ...times }: SinkOptions) =>
  Effect.gen(function* () {
    const command = yield* findJoelclaw(environment)
    const settings = otlpSettings(environment, config)
    yield* Effect.logInfo(`events: ${describeReceivers(command, settings)}`)
    for (const warning of settings?.warnings ?? []) yield* Effect.logWarning(`events: OTLP: ${warning}`)
    // Closed in parallel, so that both together take no longer than one.
    const scope = yield* Scope.make("parallel")
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const joelclaw = yield* Scope.provide(startJoelclaw({ command, environment, ...times }), yield* Scope.fork(scope))
    const otlp = settings && (yield* Scope.provide(loadOtlp(settings), yield* Scope.fork(scope)))

    const sample = makeEventSampler(sampling)
    const send = (event: OtelEvent, now: number) =>
      otlp === undefined ? joelclaw.offer(event, now) : Effect.andThen(joelclaw.offer(event, now), otlp.emit(event))
    const state = Effect.all(otlp === undefined ? [joelclaw.state] : [joelclaw.state, otlp.state])
    const sink = OtelSink.of({
      emit: (event) =>
        Effect.withFiber((fiber) => {
          const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
          const sampled = sample(event, now)
          return sampled === undefined ? Effect.void : send(sampled, now)
        }),
      dropped: Effect.map(state, (all) => all.reduce((sum, { dropped }) => sum + dropped, 0)),
      state
    })
    return Context.make(OtelSink, sink).pipe(
      Context.add(CurrentSpanExporter, otlp?.spans),
      // Effect's own spans would cost some microseconds of each acquire.
      Context.add(References.TracerEnabled, false)
    )
  }).pipe(Layer.effectContext)

const loadOtlp = Effect.fnUntraced(function* (settings: OtlpSettings) {
  const [{ startOtlp }, { layer }] = yield* Effect.promise(() =>
    Promise.all([import("./otlp.ts"), import("effect/http/FetchHttpClient")])
  )
  return yield* Effect.provide(startOtlp(settings), layer)
})

/** Returns where events and other signals go, in one line without credentials. */
export const describeReceivers = (command: string | undefined, settings: OtlpSettings | undefined): string => {
  const targets = settings === undefined ? "" : describeTargets(settings)
  const collector = `the OpenTelemetry collector at ${targets}`
  const hasLogs = settings?.signals.logs !== undefined
  const sentTo = [...(command === undefined ? [] : [`through ${command}`]), ...(hasLogs ? [`to ${collector}`] : [])]
  return [
    sentTo.length === 0 ? "none are sent" : `sent ${sentTo.join(", and ")}`,
    ...(targets === "" || hasLogs ? [] : [`other signals go to ${collector}`]),
    ...(command === undefined ? ["joelclaw is not installed; still looking for it"] : [])
  ].join("; ")
}

/**
 * Returns a function that returns the event to send at `now`, in milliseconds, or undefined. It samples by level, and
 * debug events by a limit per action and minute. The next event carries the count of those not sent, as `notSent`.
 */
export const makeEventSampler = ({ debugPerMinute, minLevel }: SamplingPolicy) => {
  const debugCounts = new Map<string, { minute: number; count: number }>()
  let notSent = 0

  const isSampled = ({ action, level }: OtelEvent, now: number): boolean => {
    if (levels.indexOf(level) < levels.indexOf(minLevel)) return false
    if (level !== "debug") return true
    const current = Math.floor(now / 60_000)
    let entry = debugCounts.get(action)
    if (entry?.minute !== current) debugCounts.set(action, (entry = { minute: current, count: 0 }))
    entry.count += 1
    return entry.count <= debugPerMinute
  }

  return (event: OtelEvent, now: number): OtelEvent | undefined => {
    if (!isSampled(event, now)) {
      notSent += 1
      return undefined
    }
    if (notSent === 0) return event
    const sampled = { ...event, metadata: { ...event.metadata, notSent } }
    notSent = 0
    return sampled
  }
}
