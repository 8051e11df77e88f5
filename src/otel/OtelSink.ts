/**
 * Where events go. `emit` cannot fail and cannot wait: it puts the event into a
 * bounded queue, and whatever happens to it there is nobody's concern but the sink's.
 *
 * `layer` picks by what is on the system: `joelclaw` where it is found, now or later.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SinkState } from "./delivery.ts"
import { findJoelclaw } from "./findJoelclaw.ts"
import type { JoelclawOptions } from "./joelclaw.ts"
import { startJoelclaw } from "./joelclaw.ts"
import type { OtelEvent } from "./OtelEvent.ts"
import type { SamplingPolicy } from "../domain/Sampling.ts"

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

  /** What this system has. `environment` tells where to look. */
  static readonly layer = (environment: Readonly<Record<string, string | undefined>>, sampling: SamplingPolicy) =>
    Layer.unwrap(
      Effect.gen(function* () {
        const command = yield* findJoelclaw(environment)
        yield* Effect.logInfo(
          command === undefined
            ? "events: joelclaw is not on this system, none are sent; it is looked for again"
            : `events: sent through ${command}`
        )
        return OtelSink.layerJoelclaw({ command, environment, sampling })
      })
    )
}
