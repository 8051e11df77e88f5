/**
 * The sweep: records the end of leases whose time is over.
 *
 * They stopped being active by themselves at that moment; the sweep writes it down
 * and frees them. It runs at the start and then every quarter of a minute, a few
 * hundred leases at a time, so that a mass of them holds up nobody. In between, what
 * is over is set aside as it ends, for the same reason. The sweep is also what
 * notices a clock that was set while nobody asks for anything.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { expireFact } from "../../domain/AuditEntry.ts"
import type { Lease } from "../../domain/Lease.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import * as metrics from "../../otel/metrics.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"

/** No lease outlives its time on the record by more than this. Costs nothing while there is nothing to do. */
export const sweepInterval = Duration.seconds(15)
/** Entries of so many are written within two milliseconds; everybody waits for those. */
const atOnce = 200

/** One sweep; gives the leases whose end it recorded. */
export const sweepExpired = Effect.fn("sweep")(function* () {
  const leases = yield* LeaseRepo
  const sink = yield* OtelSink
  const ended: Array<Lease> = []
  const part = leases.transaction((tx) => {
    const due = tx.expired(atOnce)
    for (const lease of due) tx.end(lease, expireFact(lease))
    return Result.succeed(due)
  })
  const all = Effect.tap(part, (due) => Effect.sync(() => ended.push(...due))).pipe(
    Effect.repeat({ while: (due) => due.length === atOnce })
  )
  const [took] = yield* Effect.timed(
    Effect.ensuring(
      all,
      Effect.suspend(() => metrics.countExpiries(ended.length))
    )
  )
  if (ended.length > 0) yield* sink.emit(OtelEvent.leasesExpired(ended, Duration.toMillis(took)))
  return ended
})

/** A sweep that could not be recorded is tried again with the next. */
const sweeps = sweepExpired().pipe(
  Effect.catchTag("AuditLogError", (error) => Effect.logWarning(`expired leases are not recorded: ${error.message}`)),
  Effect.repeat(Schedule.spaced(sweepInterval))
)

/** Leases that are set aside between two looks at the waiting requests: a millisecond or two of work. */
const asideAtOnce = 500
/** Leases may expire as fast as they were issued, some thousands a second: so many in between are no wait worth telling. */
const asideRest = Duration.millis(50)
/** A lease may have come that ends before all others. */
const asideLongestRest = Duration.seconds(5)

/** Whoever looks at the leases has to set aside what is over by then. A mass of it would be a wait, so it is done as they end. */
const setAside = Effect.gen(function* () {
  const leases = yield* LeaseRepo
  while (true) {
    const next = yield* leases.deactivateExpired(asideAtOnce)
    const now = yield* Clock.currentTimeMillis
    const wait = next === undefined ? asideLongestRest : Duration.millis(Math.max(0, next - now))
    if (next !== undefined && next < now) yield* Effect.yieldNow
    else yield* Effect.sleep(Duration.clamp(wait, { minimum: asideRest, maximum: asideLongestRest }))
  }
})

/** Sweeps for ever. */
export const sweepForever = Effect.all([sweeps, setAside], { concurrency: "unbounded", discard: true })
