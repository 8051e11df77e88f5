/**
 * acquire: the product in one function.
 *
 * A client asks for a secret. Its older leases of that secret are looked up and
 * revoked, the new one is issued, and the value is handed out when the audit log
 * has all of it on the disk. One step: nobody sees two active leases of a pair,
 * and what is refused or cannot be recorded changes nothing.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { randomUUID } from "node:crypto"
import { acquireFact, acquireRefusedFact, replaceFact, ttlTooLongDetails } from "../../domain/AuditEntry.ts"
import type { GoDuration } from "../../domain/GoDuration.ts"
import type { Lease } from "../../domain/Lease.ts"
import { makeLease, defaultMaxLeases, TooManyLeases } from "../../domain/Lease.ts"
import type { SecretNotFound } from "../../domain/Secret.ts"
import type { TtlPolicy, TtlTooLong } from "../../domain/Ttl.ts"
import { grantedTtl } from "../../domain/Ttl.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import * as metrics from "../../otel/metrics.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { inSpan } from "../../otel/span.ts"
import type { AuditLogError } from "../audit/AuditLog.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

export interface AcquireRequest {
  readonly secretName: string
  readonly clientId: string
  /** Nanoseconds; zero or less asks for the default. */
  readonly ttl: GoDuration
}

export interface Acquired {
  readonly lease: Lease
  readonly value: Redacted.Redacted
  /** The leases that ended because of this one. */
  readonly replaced: ReadonlyArray<Lease>
}

/** With the duration that was granted. */
type Granted = Acquired & { readonly ttl: GoDuration }

export type AcquireError = SecretNotFound | TtlTooLong | TooManyLeases

/** What its span says of how it ended. */
const attributes = (exit: Exit.Exit<Acquired, AcquireError | AuditLogError>, request: AcquireRequest) => {
  const about = { "secret.name": request.secretName, "client.id": request.clientId }
  if (Exit.isSuccess(exit)) {
    const { lease, replaced } = exit.value
    return { ...about, outcome: replaced.length === 0 ? "issued" : "replaced", "lease.id": lease.id }
  }
  const failure = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return failure === undefined ? {} : { ...about, outcome: "refused", "error.type": failure._tag }
}

export const acquire = Effect.fnUntraced(
  function* (
    request: AcquireRequest,
    policy: TtlPolicy,
    capacity = defaultMaxLeases
  ): Effect.fn.Return<Acquired, AcquireError | AuditLogError, SecretStore | LeaseRepo | OtelSink> {
    const { secretName, clientId } = request
    const secrets = yield* SecretStore
    const leases = yield* LeaseRepo
    const sink = yield* OtelSink
    const id = randomUUID()

    const grant = leases.transaction((tx): Result.Result<Granted, AcquireError> => {
      const refuse = (refusal: AcquireError, reason: string) => {
        tx.record(acquireRefusedFact(secretName, clientId, reason))
        return Result.fail(refusal)
      }
      const secret = secrets.get(secretName)
      if (Result.isFailure(secret)) return refuse(secret.failure, "secret not found")
      const granted = grantedTtl(request.ttl, policy)
      if (Result.isFailure(granted)) return refuse(granted.failure, ttlTooLongDetails(granted.failure))
      const { name, value } = secret.success
      const ttl = granted.success
      // The store's own copy of the name: thousands of leases share it.
      const lease = makeLease({ id, secretName: name, clientId, ttl, now: tx.now })
      const replaced = tx.ofPair(name, clientId)
      if (tx.weight() >= capacity && replaced.length === 0) {
        return refuse(new TooManyLeases({ capacity }), "too many active leases")
      }
      for (const old of replaced) tx.end(old, replaceFact(old, lease, ttl))
      tx.issue(lease, acquireFact(lease, ttl))
      return Result.succeed({ lease, value, replaced, ttl })
    })

    const [took, { lease, value, replaced, ttl }] = yield* Effect.timed(grant)
    yield* metrics.countAcquire(took, replaced.length)
    const durationMs = Duration.toMillis(took)
    for (const old of replaced) yield* sink.emit(OtelEvent.leaseReplaced(old, lease, ttl, durationMs))
    yield* sink.emit(OtelEvent.leaseAcquired(lease, ttl, durationMs))
    return { lease, value, replaced }
  },
  inSpan("acquire", attributes)
)
