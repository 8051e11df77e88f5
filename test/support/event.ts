/**
 * A sample event, numbered in its metadata.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { OtelEvent } from "../../src/otel/OtelEvent.ts"

export const event = (n: number, level: OtelEvent["level"] = "info"): OtelEvent => ({
  action: "lease.replaced",
  component: "lease",
  level,
  success: true,
  metadata: { n }
})

/** Offers events with the time of the clock. */
export const offerNow = (offer: (event: OtelEvent, time: number) => Effect.Effect<void>) => (given: OtelEvent) =>
  Effect.flatMap(Clock.currentTimeMillis, (time) => offer(given, time))
