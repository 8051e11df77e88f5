/**
 * Where events go. `emit` cannot fail and cannot wait: it puts the event into a
 * bounded queue, and whatever happens to it there is nobody's concern but the sink's.
 *
 * `sinkLayer` picks by what is on the system and configured.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SinkState } from "./delivery.ts"
import type { JoelclawOptions } from "./joelclaw.ts"
import { startJoelclaw } from "./joelclaw.ts"
import type { OtelEvent } from "./OtelEvent.ts"

export class OtelSink extends Context.Service<
  OtelSink,
  {
    readonly emit: (event: OtelEvent) => Effect.Effect<void>
    /** How many events never arrived: there was no room for them, or sending them failed. */
    readonly dropped: Effect.Effect<number>
    /** How each of the receivers is doing; none where there is none. */
    readonly state: Effect.Effect<ReadonlyArray<SinkState>>
  }
>()("agent-secrets/OtelSink") {
  /** Runs `joelclaw otel emit` for each event, one at a time. */
  static readonly layerJoelclaw = (options: JoelclawOptions) =>
    Layer.effect(
      OtelSink,
      Effect.map(startJoelclaw(options), ({ emit, state }) =>
        OtelSink.of({
          emit,
          dropped: Effect.map(state, ({ dropped }) => dropped),
          state: Effect.map(state, (one) => [one])
        })
      )
    )

  static readonly layerNoop = Layer.succeed(OtelSink, {
    emit: () => Effect.void,
    dropped: Effect.succeed(0),
    state: Effect.succeed([])
  })

  /** Keeps the events in the array it is given, for tests. */
  static readonly layerMemory = (events: Array<OtelEvent>) =>
    Layer.succeed(OtelSink, {
      emit: (event) => Effect.sync(() => void events.push(event)),
      dropped: Effect.succeed(0),
      state: Effect.succeed([])
    })
}
