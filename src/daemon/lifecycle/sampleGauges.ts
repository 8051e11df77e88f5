/**
 * The metrics that are sampled and not counted: active leases per secret, and queued
 * and dropped events.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { setEventsDropped, setEventsQueued, setActiveLeases } from "../../otel/metrics.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

/** The maximum age of what a collector gets. */
const interval = Duration.seconds(5)

export const sampleGauges = Effect.gen(function* () {
  const leases = yield* LeaseRepo
  const secrets = yield* SecretStore
  const sink = yield* OtelSink
  const bySecret: Array<readonly [string, number]> = []
  for (const { name } of yield* secrets.list) bySecret.push([name, yield* leases.activeCountOfSecret(name)])
  yield* setActiveLeases(bySecret, yield* leases.activeCount)
  for (const { kind, queued } of yield* sink.state) yield* setEventsQueued(kind, queued)
  yield* setEventsDropped(yield* sink.dropped)
})

/** Samples only if there is a collector: a metrics request samples by itself. */
export const sampleGaugesForever = Effect.gen(function* () {
  const sink = yield* OtelSink
  const receivers = yield* sink.state
  if (!receivers.some(({ kind }) => kind === "otlp")) return yield* Effect.never
  return yield* Effect.repeat(sampleGauges, Schedule.spaced(interval))
})
