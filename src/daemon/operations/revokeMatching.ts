/**
 * revokeMatching: ends all leases of a client, of a secret, or of both.
 *
 * Each has its own entry in the log. Up to five hundred are one step; more are ended
 * five hundred at a time, so that nobody waits long behind them. Leases that are taken
 * after it has begun are not meant. Where there are none, nothing is recorded.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { revokeFact } from "../../domain/AuditEntry.ts"
import type { Lease, LeaseFilter } from "../../domain/Lease.ts"
import { matchesFilter } from "../../domain/Lease.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLogError } from "../audit/AuditLog.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import type { LeaseTransaction } from "../leases/LeaseTransaction.ts"

/** So many entries take some milliseconds to be chained. */
const inOneStep = 500

/** Some leases have ended; that the others did could not be recorded, so they did not. */
export class PartlyRevoked extends Schema.TaggedError<PartlyRevoked>()("PartlyRevoked", {
  revoked: Schema.Int,
  remaining: Schema.Int,
  cause: AuditLogError
}) {
  override get message() {
    return `${this.revoked} leases are revoked and ${this.remaining} are not (${this.cause.cause.message}); ask once more to end them`
  }
}

/** Gives the leases that were ended. */
export const revokeMatchingLeases = Effect.fn("revokeMatching")(function* (filter: LeaseFilter) {
  const sink = yield* OtelSink
  const [took, { failure, revoked }] = yield* Effect.timed(endMatching(filter))
  if (revoked.length > 0) {
    const secretName = revoked.every((lease) => lease.secretName === revoked[0]?.secretName)
      ? revoked[0]?.secretName
      : undefined
    yield* sink.emit(OtelEvent.leasesRevoked(revoked, Duration.toMillis(took), secretName))
  }
  if (failure !== undefined) return yield* failure
  return revoked
})

const endMatching = Effect.fnUntraced(function* (filter: LeaseFilter) {
  const leases = yield* LeaseRepo
  const first = yield* leases.transaction((tx) => {
    const { secretName } = filter
    const among = secretName === undefined ? tx.active() : tx.ofSecret(secretName)
    const meant = among.filter((lease) => matchesFilter(filter, lease))
    return Result.succeed({ meant, ended: revokeAll(tx, meant.slice(0, inOneStep)) })
  })
  const revoked = [...first.ended]
  for (let from = inOneStep; from < first.meant.length; from += inOneStep) {
    const some = first.meant.slice(from, from + inOneStep)
    // One may have ended by itself since.
    const step = leases.transaction((tx) =>
      Result.succeed(
        revokeAll(
          tx,
          some.filter(({ id }) => tx.find(id) !== undefined)
        )
      )
    )
    const failure = yield* Effect.match(step, {
      onSuccess: (ended) => void revoked.push(...ended),
      onFailure: (cause) => new PartlyRevoked({ revoked: revoked.length, remaining: first.meant.length - from, cause })
    })
    if (failure !== undefined) return { revoked, failure }
  }
  return { revoked, failure: undefined }
})

const revokeAll = (tx: LeaseTransaction, leases: ReadonlyArray<Lease>): ReadonlyArray<Lease> => {
  for (const lease of leases) tx.revoke(lease, revokeFact(lease))
  return leases
}
