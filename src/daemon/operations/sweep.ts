/**
 * The sweep: records the expiry of leases and frees them.
 *
 * A lease stops being active at its expiry; the sweep audits that later. It runs at the
 * start and then at an interval, in batches, so that many expiries do not delay
 * requests. It also detects a clock that was set while no request arrives.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { expireFact } from "../../domain/leaseFacts.ts"
import type { Lease } from "../../domain/Lease.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import * as metrics from "../../otel/metrics.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { longestNap, sleepFor } from "../../process/sleepUntil.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"

/** The longest delay between an expiry and its audit entry. */
export const sweepInterval = Duration.seconds(15)
/** Expiries per transaction; other requests wait for one transaction at most. */
const maxPerTransaction = 200

/** Sweeps once; returns the leases whose expiry it recorded. */
export const sweepExpired = Effect.fn("sweep")(function* () {
  const leases = yield* LeaseRepo
  const sink = yield* OtelSink
  const ended: Array<Lease> = []
  const batch = leases.transaction({ _tag: "Due", most: maxPerTransaction }, (tx) => {
    const expired = tx.expired(maxPerTransaction)
    for (const lease of expired) tx.end(lease, expireFact(lease))
    return Result.succeed(expired)
  })
  const all = Effect.tap(batch, (expired) => Effect.sync(() => ended.push(...expired))).pipe(
    Effect.repeat({ while: (expired) => expired.length === maxPerTransaction })
  )
  const [duration] = yield* Effect.timed(
    Effect.ensuring(
      all,
      Effect.suspend(() => metrics.countExpiries(ended.length))
    )
  )
  if (ended.length > 0) yield* sink.emit(OtelEvent.leasesExpired(ended, Duration.toMillis(duration)))
  return ended
})

/** Sweeps at the interval. A failed sweep is retried by the next one. */
const sweeps = sweepExpired().pipe(
  Effect.catchTag("AuditLogError", (error) => Effect.logWarning(`cannot record expired leases: ${error.message}`)),
  Effect.andThen(sleepFor(sweepInterval)),
  Effect.forever
)

/** Leases to deactivate before other requests run. */
const deactivateBatch = 500
/** Leases can expire as fast as they are issued, so this bounds the number between two checks. */
const minDeactivateInterval = Duration.millis(50)

/** Deactivates leases as they expire, so that no request has to deactivate many at once. */
const deactivateForever = Effect.gen(function* () {
  const leases = yield* LeaseRepo
  while (true) {
    const next = yield* leases.deactivateExpired(deactivateBatch)
    const now = yield* Clock.currentTimeMillis
    const wait = next === undefined ? longestNap : Duration.millis(Math.max(0, next - now))
    if (next !== undefined && next < now) yield* Effect.yieldNow
    // A new lease may expire before all others.
    else yield* Effect.sleep(Duration.clamp(wait, { minimum: minDeactivateInterval, maximum: longestNap }))
  }
})

export const sweepForever = Effect.all([sweeps, deactivateForever], { concurrency: "unbounded", discard: true })
