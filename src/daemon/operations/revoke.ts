/**
 * revoke: ends one lease, all leases, or those of a client or a secret.
 *
 * Revoking is durable when it returns. It changes no secret and cannot take back a
 * value. A recently revoked lease can be revoked again, as with the predecessor; a
 * replaced or expired one only while the program runs that was given its value. Each
 * returns the runs whose starters get a notice.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { counted } from "../../domain/counted.ts"
import {
  returnFact,
  returnRefusedFact,
  revokeAllFacts,
  revokeFact,
  revokeMatchingFact,
  revokeRefusedFact
} from "../../domain/leaseFacts.ts"
import { ownsLease } from "../../domain/Caller.ts"
import {
  AmbiguousLease,
  type Lease,
  type LeaseFilter,
  type LeaseName,
  LeaseNotFound,
  matchesFilter,
  minIdPrefix
} from "../../domain/Lease.ts"
import type { Notice } from "../../domain/Run.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLogError } from "../audit/AuditLogError.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { everything, type LeaseScope } from "../leases/LeaseScope.ts"
import type { LeaseTransaction } from "../leases/LeaseTransaction.ts"
import { idsReached, Runs } from "../runs/Runs.ts"
import { takenBackFacts } from "./requests.ts"
import { OpenRequests } from "./RequestTable.ts"

/**
 * Revokes one lease and returns it. One that is not the caller's does not exist for it. With `byPrefix`, the beginning of
 * the id of one lease is enough, if it is active or its program runs. With `isReturned`, its holder gives it back and no
 * run is notified: others of the same client have leases of their own.
 */
export const revokeLease = Effect.fnUntraced(function* (leaseId: string, byPrefix = false, isReturned = false) {
  const leases = yield* LeaseRepo
  const sink = yield* OtelSink
  const caller = yield* CurrentCaller
  const { table } = yield* Runs
  const fact = isReturned ? returnFact : revokeFact
  const done = (lease: LeaseName, wasOver: boolean) =>
    Result.succeed({ lease, wasOver, runIds: isReturned ? [] : idsReached(table, [noticeOf(lease)]) })
  const mayBePrefix = byPrefix && leaseId.length >= minIdPrefix
  const scope: LeaseScope = mayBePrefix ? { _tag: "Prefix", prefix: leaseId } : { _tag: "Leases", ids: [leaseId] }
  const revoking = leases.transaction(scope, (tx): Result.Result<Revoked, LeaseNotFound | AmbiguousLease> => {
    const isPrefix = mayBePrefix && tx.find(leaseId) === undefined
    const isSought = (one: LeaseName) =>
      (isPrefix ? one.id.startsWith(leaseId) : one.id === leaseId) && ownsLease(caller, one)
    const meant = isPrefix ? tx.withPrefix(leaseId).filter(isSought) : []
    if (meant.length > 1) {
      tx.record(revokeRefusedFact(leaseId, "several leases begin with this id"))
      return Result.fail(new AmbiguousLease({ ids: meant.slice(0, maxCandidates).map(({ id }) => id) }))
    }
    const lease = meant[0] ?? tx.find(leaseId)
    if (lease !== undefined && ownsLease(caller, lease)) {
      tx.revoke(lease, fact(lease))
      return done(lease, false)
    }
    const over = [tx.findRevoked(leaseId) ?? [], ...table.leases()].flat().find(isSought)
    if (over !== undefined) {
      tx.record(fact(over))
      return done(over, true)
    }
    tx.record(isReturned ? returnRefusedFact(leaseId) : revokeRefusedFact(leaseId))
    return Result.fail(new LeaseNotFound({ leaseId }))
  })
  const [duration, revoked] = yield* Effect.timed(revoking)
  const { lease } = revoked
  yield* sink.emit(OtelEvent.leasesRevoked([lease], Duration.toMillis(duration), lease.secretName))
  return revoked
})

interface Revoked {
  readonly lease: LeaseName
  /** Whether it had ended before. */
  readonly wasOver: boolean
  /** The runs whose starters get a notice. */
  readonly runIds: ReadonlyArray<string>
}

const noticeOf = ({ clientId, id, secretName }: LeaseName): Notice => ({
  kind: "revoked",
  clientId,
  secretName,
  leaseId: id
})

/** Candidates that an error names. */
const maxCandidates = 5

/** Revokes every active lease and returns their number. */
export const revokeAllLeases = Effect.fn("revokeAll")(function* () {
  const sink = yield* OtelSink
  const [duration, { leasesRevoked }] = yield* Effect.timed(endAllLeases)
  const durationMs = Duration.toMillis(duration)
  yield* sink.emit(OtelEvent.killswitchActivated({ leasesRevoked, secretsRotated: 0, failures: 0, durationMs }))
  return leasesRevoked
})

/** Revokes every active lease without an event, as a step of a larger operation. No approval outlives them, nor a request for one. */
export const endAllLeases = Effect.gen(function* () {
  const leases = yield* LeaseRepo
  const { table } = yield* Runs
  const requests = yield* OpenRequests
  return yield* leases.transaction({ _tag: "All" }, (tx) => {
    const leasesRevoked = tx.revokeActive()
    tx.record(...revokeAllFacts(leasesRevoked), ...takenBackFacts(requests.forget()))
    return Result.succeed({ leasesRevoked, runIds: [...table.all()].map(({ id }) => id) })
  })
})

/** Some leases were revoked; revoking the others could not be recorded, so they are still active. */
export class PartlyRevoked extends Data.TaggedError("PartlyRevoked")<{
  readonly revoked: number
  readonly remaining: number
  readonly cause: AuditLogError
}> {
  override get message() {
    return `${counted(this.revoked, "lease", "is")} revoked and ${this.remaining} ${this.remaining === 1 ? "is" : "are"} not (${this.cause.cause.message}); repeat the request to revoke them`
  }
}

/**
 * Revokes the caller's leases that match a filter and returns them; matching none is not an error. Large sets take several
 * transactions, so that other requests run in between. Leases acquired meanwhile are not included.
 */
export const revokeMatchingLeases = Effect.fn("revokeMatching")(function* (filter: LeaseFilter) {
  const sink = yield* OtelSink
  const [duration, { error, revoked, runIds }] = yield* Effect.timed(endMatching(filter))
  const [first] = revoked
  if (first !== undefined) {
    const isOneSecret = revoked.every(({ secretName }) => secretName === first.secretName)
    const secretName = isOneSecret ? first.secretName : undefined
    yield* sink.emit(OtelEvent.leasesRevoked(revoked, Duration.toMillis(duration), secretName))
  }
  if (error !== undefined) return yield* error
  return { revoked, runIds }
})

/** Leases per transaction: chaining their entries delays other requests only briefly. */
const maxPerTransaction = 500

const endMatching = Effect.fnUntraced(function* (filter: LeaseFilter) {
  const leases = yield* LeaseRepo
  const caller = yield* CurrentCaller
  const { table } = yield* Runs
  const { clientId, secretName } = filter
  const scope: LeaseScope = secretName === undefined ? everything : { _tag: "Secret", secretName }
  const matches = (lease: LeaseName) => matchesFilter(filter, lease) && ownsLease(caller, lease)
  const { matching, revoked, runIds } = yield* leases.transaction(scope, (tx) => {
    const found = (secretName === undefined ? tx.active() : tx.ofSecret(secretName)).filter(matches)
    // It reaches programs whose leases are over, also those that no one has registered again since a restart.
    const asked =
      clientId !== undefined || caller.scope === undefined
        ? [filter]
        : [...new Set([...found, ...table.leases().filter(matches)].map((lease) => lease.clientId))].map((one) => ({
            clientId: one,
            secretName
          }))
    const ended = found.slice(0, maxPerTransaction)
    tx.record(...asked.map((one) => revokeMatchingFact(one, found.filter((lease) => matchesFilter(one, lease)).length)))
    return Result.succeed({
      matching: found,
      revoked: [...revokeEach(tx, ended)],
      runIds: idsReached(
        table,
        asked.map((one) => ({ kind: "revoked", ...one }))
      )
    })
  })
  for (let start = maxPerTransaction; start < matching.length; start += maxPerTransaction) {
    const batch = matching.slice(start, start + maxPerTransaction)
    const ids = batch.map(({ id }) => id)
    const revoking = leases.transaction({ _tag: "Leases", ids }, (tx) => {
      // Some may have ended since the first transaction.
      const remaining = batch.filter(({ id }) => tx.find(id) !== undefined)
      return Result.succeed(revokeEach(tx, remaining))
    })
    const error = yield* Effect.match(revoking, {
      onSuccess: (ended) => void revoked.push(...ended),
      onFailure: (cause) => new PartlyRevoked({ revoked: revoked.length, remaining: matching.length - start, cause })
    })
    if (error !== undefined) return { revoked, runIds, error }
  }
  return { revoked, runIds, error: undefined }
})

const revokeEach = (tx: LeaseTransaction, leases: ReadonlyArray<Lease>): ReadonlyArray<Lease> => {
  for (const lease of leases) tx.revoke(lease, revokeFact(lease))
  return leases
}
