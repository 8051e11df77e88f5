/**
 * The figures that are looked up and not counted: how many leases each secret has,
 * and how many events wait and were lost.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { eventsDropped, eventsQueued, setActiveLeases } from "../otel/metrics.ts"
import { OtelSink } from "../otel/OtelSink.ts"
import { LeaseRepo } from "./LeaseRepo.ts"
import { SecretStore } from "./SecretStore.ts"

/** No older than this is what a collector gets. */
const interval = Duration.seconds(5)

/** The leases of each secret and the events that wait, as they are now. */
export const observe = Effect.gen(function* () {
  const sink = yield* OtelSink
  for (const { kind, queued } of yield* sink.state) yield* eventsQueued(kind, queued)
  const leases = yield* LeaseRepo
  const secrets = yield* SecretStore
  const bySecret: Array<readonly [string, number]> = []
  for (const { name } of yield* secrets.list) bySecret.push([name, yield* leases.activeCountOfSecret(name)])
  yield* setActiveLeases(bySecret, yield* leases.activeCount)
})

export const observeForever = Effect.gen(function* () {
  const sink = yield* OtelSink
  let counted = 0
  const look = Effect.gen(function* () {
    const dropped = yield* sink.dropped
    yield* eventsDropped(dropped - counted)
    counted = dropped
    yield* observe
  })
  yield* Effect.repeat(look, Schedule.spaced(interval))
})
