/**
 * The service that emits events. `emit` cannot fail and does not wait: it offers the
 * event to a bounded queue. The daemon uses `sinkLayer`; the layers here are for tests.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SinkState } from "./delivery.ts"
import type { OtelEvent } from "./OtelEvent.ts"

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
  static readonly layerNoop = Layer.succeed(OtelSink, {
    emit: () => Effect.void,
    dropped: Effect.succeed(0),
    state: Effect.succeed([])
  })

  /** Pushes each event to the array. */
  static readonly layerMemory = (events: Array<OtelEvent>) =>
    Layer.succeed(OtelSink, {
      emit: (event) => Effect.sync(() => void events.push(event)),
      dropped: Effect.succeed(0),
      state: Effect.succeed([])
    })
}
