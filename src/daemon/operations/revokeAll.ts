/**
 * revokeAll: ends every active lease at once. The secrets stay.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { revokeAllFacts } from "../../domain/AuditEntry.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"

/** Gives the number of leases that were active. */
export const revokeAllLeases = Effect.fn("revokeAll")(function* () {
  const sink = yield* OtelSink
  const [took, leasesRevoked] = yield* Effect.timed(endAllLeases)
  const durationMs = Duration.toMillis(took)
  yield* sink.emit(OtelEvent.killswitchActivated({ leasesRevoked, secretsRotated: 0, failures: 0, durationMs }))
  return leasesRevoked
})

/** The same as a step of something larger, which tells of it itself. */
export const endAllLeases = Effect.flatMap(LeaseRepo, (leases) =>
  leases.transaction((tx) => {
    const active = tx.active()
    for (const lease of active) tx.revoke(lease)
    tx.record(...revokeAllFacts(active.length))
    return Result.succeed(active.length)
  })
)
