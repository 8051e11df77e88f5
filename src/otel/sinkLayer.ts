/**
 * The sink of the daemon: joelclaw, once it is found, and an OpenTelemetry collector
 * where one is configured. Without one, no OpenTelemetry code is loaded.
 *
 * Both receivers get the same sampled events. Neither waits for the other.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import type { OtlpConfig, SamplingPolicy } from "../domain/TelemetryConfig.ts"
import { makeEventSampler } from "./eventSampler.ts"
import { findJoelclaw, startJoelclaw } from "./joelclaw.ts"
import { OtelSink } from "./OtelSink.ts"
import { describeTargets, type OtlpSettings, otlpSettings } from "./otlpSettings.ts"
import { CurrentSpanExporter } from "./span.ts"

export interface SinkOptions {
  /** For JOELCLAW_BIN, PATH and HOME, and the OTEL_* variables. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly sampling: SamplingPolicy
  readonly otlp?: OtlpConfig | undefined
}

/** Provides the sink and the span exporter. */
export const sinkLayer = ({ environment, otlp: config, sampling }: SinkOptions) =>
  Effect.gen(function* () {
    const command = yield* findJoelclaw(environment)
    const settings = otlpSettings(environment, config)
    yield* Effect.logInfo(`events: ${describeReceivers(command, settings)}`)
    for (const warning of settings?.warnings ?? []) yield* Effect.logWarning(`events: OTLP: ${warning}`)
    // Closed in parallel, so that both together take no longer than one.
    const scope = yield* Scope.make("parallel")
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const joelclaw = yield* Scope.provide(startJoelclaw({ command, environment }), yield* Scope.fork(scope))
    const otlp = settings && (yield* Scope.provide(loadOtlp(settings), yield* Scope.fork(scope)))

    const sample = makeEventSampler(sampling)
    const receivers = otlp === undefined ? [joelclaw] : [joelclaw, otlp]
    const state = Effect.all(receivers.map((receiver) => receiver.state))
    const sink = OtelSink.of({
      emit: (event) =>
        Effect.withFiber((fiber) => {
          const sampled = sample(event, fiber.getRef(Clock.Clock).currentTimeMillisUnsafe())
          return sampled === undefined
            ? Effect.void
            : Effect.forEach(receivers, ({ emit }) => emit(sampled), { discard: true })
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
