/**
 * The sink of this system: joelclaw where it is found, now or later, and a collector
 * of OpenTelemetry where one is configured. Where none is, none of OpenTelemetry is
 * loaded.
 *
 * Both get the same events, those that the sampling lets through; what one of them
 * loses is not the other's concern.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import type { OtlpConfig } from "../domain/TelemetryConfig.ts"
import type { SamplingPolicy } from "../domain/TelemetryConfig.ts"
import { findJoelclaw } from "./findJoelclaw.ts"
import { startJoelclaw } from "./joelclaw.ts"
import { OtelSink } from "./OtelSink.ts"
import type { OtelEvent } from "./OtelEvent.ts"
import { describeTargets, type OtlpSettings, otlpSettings } from "./otlpSettings.ts"
import { makeEventSampler } from "./sampling.ts"
import { CurrentSpanExporter } from "./span.ts"

export interface SinkOptions {
  /** Tells where to look for joelclaw, and has the variables of OpenTelemetry. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly sampling: SamplingPolicy
  readonly otlp?: OtlpConfig | undefined
}

/** Gives the sink, and where spans go. */
export const sinkLayer = ({ environment, otlp: config, sampling }: SinkOptions) =>
  Effect.gen(function* () {
    const command = yield* findJoelclaw(environment)
    const settings = otlpSettings(environment, config)
    yield* Effect.logInfo(`events: ${receivers(command, settings)}`)
    for (const warning of settings?.warnings ?? []) yield* Effect.logWarning(`events: OTLP: ${warning}`)
    // They end side by side, so that they take no longer together than one of them.
    const scope = yield* Scope.make("parallel")
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const joelclaw = yield* Scope.provide(startJoelclaw({ command, environment }), yield* Scope.fork(scope))
    const otlp =
      settings === undefined ? undefined : yield* Scope.provide(startOtlpLazily(settings), yield* Scope.fork(scope))

    const sample = makeEventSampler(sampling)
    const send = (event: OtelEvent) =>
      otlp === undefined ? joelclaw.emit(event) : Effect.andThen(joelclaw.emit(event), otlp.emit(event))
    const state = Effect.all(otlp === undefined ? [joelclaw.state] : [joelclaw.state, otlp.state])
    const sink = OtelSink.of({
      emit: (event) =>
        Effect.withFiber((fiber) => {
          const sampled = sample(event, fiber.getRef(Clock.Clock).currentTimeMillisUnsafe())
          return sampled === undefined ? Effect.void : send(sampled)
        }),
      dropped: Effect.map(state, (all) => all.reduce((sum, { dropped }) => sum + dropped, 0)),
      state
    })
    return Context.make(OtelSink, sink).pipe(
      Context.add(CurrentSpanExporter, otlp?.spans),
      // Spans that nobody is sent are not even made: that takes some microseconds of each acquire.
      Context.add(References.TracerEnabled, false)
    )
  }).pipe(Layer.effectContext)

const startOtlpLazily = Effect.fnUntraced(function* (settings: OtlpSettings) {
  const [{ startOtlp }, { layer }] = yield* Effect.promise(() =>
    Promise.all([import("./otlp.ts"), import("effect/http/FetchHttpClient")])
  )
  return yield* Effect.provide(startOtlp(settings), layer)
})

/** Where everything goes, in one line, without what may be a credential in an address. */
export const receivers = (command: string | undefined, settings: OtlpSettings | undefined): string => {
  const place = settings === undefined ? "" : describeTargets(settings)
  const collector = place === "" ? "" : `the OpenTelemetry collector at ${place}`
  const getsEvents = settings?.signals.logs !== undefined
  const through = [command === undefined ? "" : `through ${command}`, getsEvents ? `to ${collector}` : ""]
  const sent = through.filter((one) => one !== "").join(", and ")
  return [
    sent === "" ? "none are sent" : `sent ${sent}`,
    collector === "" || getsEvents ? "" : `other signals go to ${collector}`,
    command === undefined ? "joelclaw is not on this system, it is looked for again" : ""
  ]
    .filter((one) => one !== "")
    .join("; ")
}
