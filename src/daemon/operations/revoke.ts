/**
 * revoke: ends one lease on purpose.
 *
 * Whoever revokes the same lease again is told that it is revoked, as the
 * predecessor did for as long as it ran; here for the last ones revoked. A lease
 * that was replaced is not there any more. The value cannot be taken back.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { revokeFact, revokeRefusedFact } from "../../domain/AuditEntry.ts"
import { LeaseNotFound } from "../../domain/Lease.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"

export const revokeLease = Effect.fnUntraced(function* (leaseId: string) {
  const leases = yield* LeaseRepo
  const sink = yield* OtelSink
  const ending = leases.transaction((tx) => {
    const lease = tx.find(leaseId)
    if (lease !== undefined) {
      tx.revoke(lease, revokeFact(lease))
      return Result.succeed(lease)
    }
    const revoked = tx.findRevoked(leaseId)
    if (revoked !== undefined) {
      tx.record(revokeFact(revoked))
      return Result.succeed(revoked)
    }
    tx.record(revokeRefusedFact(leaseId))
    return Result.fail(new LeaseNotFound({ leaseId }))
  })
  const [took, lease] = yield* Effect.timed(ending)
  yield* sink.emit(OtelEvent.leasesRevoked([lease], Duration.toMillis(took), lease.secretName))
  return lease
})
