/**
 * A sink that sends to an OpenTelemetry collector as well, where the environment
 * names one; else it is the sink as it was, and none of OpenTelemetry is loaded.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Tracer from "effect/Tracer"
import type { SinkState } from "./delivery.ts"
import type { Otlp } from "./otlp.ts"
import { OtelSink } from "./OtelSink.ts"
import { describe, type Environment, otlpSettings } from "./otlpSettings.ts"

class Collector extends Context.Service<Collector, Otlp>()("agent-secrets/otel/Collector") {}

/** Gives the sink, and the tracer where spans are sent. The two sinks end side by side. */
export const withOtlp = <E, R>(environment: Environment, sink: Layer.Layer<OtelSink, E, R>) => {
  const settings = otlpSettings(environment)
  if (settings === undefined) return sink
  const collector = Effect.gen(function* () {
    for (const remark of settings.remarks) yield* Effect.logWarning(`events: OTLP: ${remark}`)
    const places = describe(settings)
    yield* Effect.logInfo(places === "" ? "events: nothing is sent by OTLP" : `events: OTLP to ${places}`)
    const [{ startOtlp }, http] = yield* Effect.promise(() =>
      Promise.all([import("./otlp.ts"), import("effect/http/FetchHttpClient")])
    )
    return yield* startOtlp(settings).pipe(
      Effect.provide(http.layer),
      // Elsewhere the credentials have no business.
      Effect.provideService(http.RequestInit, { redirect: "manual" })
    )
  })
  const both = Effect.gen(function* () {
    const first = yield* OtelSink
    const { dropped, emit, queued, sent, tracer } = yield* Collector
    const joined = OtelSink.of({
      ...first,
      emit: (event) => Effect.andThen(first.emit(event), emit(event)),
      dropped: Effect.zipWith(first.dropped, dropped, (a, b) => a + b),
      state: Effect.gen(function* () {
        const own: SinkState = {
          kind: "otlp",
          target: describe(settings),
          sent: yield* sent,
          dropped: yield* dropped,
          queued: yield* queued,
          lastFailure: undefined
        }
        return [...(yield* first.state), own]
      })
    })
    const context = Context.make(OtelSink, joined)
    return tracer === undefined ? context : Context.add(context, Tracer.Tracer, tracer)
  })
  return Layer.effectContext(both).pipe(Layer.provide(Layer.mergeAll(sink, Layer.effect(Collector, collector))))
}
