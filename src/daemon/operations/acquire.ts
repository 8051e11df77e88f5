/**
 * acquire: issues a lease to a client and returns the value of the secret.
 *
 * This is the product in one function. One transaction, in this order:
 *
 *   1. may the client have it, and how long        or fail: AccessDenied, PolicyDenied, SecretNotFound,
 *                                                           ProxyOnly, ValueTooLong, TtlTooLong
 *   2. find the client's older leases of it        or fail: TooManyLeases, if there are none
 *   3. if the policy asks for it: is it approved   or fail: ApprovalPending, ApprovalDenied, ApprovalExpired,
 *                                                           TooManyRequests
 *   4. replace: end the older leases
 *   5. issue the new lease
 *   6. audit: flush the entries of all steps       or fail: AuditLogError
 *
 * The value is returned only after step 6. A pair of client and secret never has two
 * active leases. A failed request changes no lease; a rejection in step 1 to 3 is
 * audited like a change.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { randomUUID } from "node:crypto"
import type { LeaseOrigin } from "../../domain/factMakers.ts"
import { acquireFact, acquireRefusedFact, replaceFact, ttlTooLongDetails } from "../../domain/leaseFacts.ts"
import { AccessDenied, leaseForbidden } from "../../domain/Caller.ts"
import type { GoDuration } from "../../domain/GoDuration.ts"
import { grantedTtl, type Lease, makeLease, TooManyLeases, type TtlTooLong } from "../../domain/Lease.ts"
import type {
  Approval,
  ApprovalDenied,
  ApprovalExpired,
  ApprovalPending,
  TooManyRequests
} from "../../domain/OpenRequest.ts"
import { type PolicyDenied, policyRefusal, ttlRefusal, ttlWithin } from "../../domain/Policy.ts"
import { ProxyOnly, type Secret, type SecretNotFound, type StoreLocked, ValueTooLong } from "../../domain/Secret.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import * as metrics from "../../otel/metrics.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { inSpan } from "../../otel/span.ts"
import type { AuditLogError } from "../audit/AuditLogError.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import type { LeaseScope } from "../leases/LeaseScope.ts"
import { ApprovalGate } from "./approvalGate.ts"
import { leaseRules } from "./leaseRules.ts"
import { lockedReason } from "../secrets/lockableStore.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

export interface AcquireRequest {
  readonly secretName: string
  readonly clientId: string
  /** Nanoseconds; zero or less requests the default TTL. */
  readonly ttl: GoDuration
  /** Whether a TTL above the maximum is shortened to it, and not rejected. */
  readonly shorten?: boolean
  /** The longest value that the client can use, in bytes of UTF-8. */
  readonly maxBytes?: number | undefined
  /** What the client says about the use of the value; nothing means that it is printed. */
  readonly origin?: LeaseOrigin
  /** Whether the proxy uses the value, and the client does not get it. */
  readonly isForProxy?: boolean
}

export interface AcquireResult {
  readonly lease: Lease
  readonly value: Redacted.Redacted
  /** The leases that this one replaced. */
  readonly replaced: ReadonlyArray<Lease>
}

interface Issued extends AcquireResult {
  readonly ttl: GoDuration
}

/** Why a request is rejected. */
export type AcquireError =
  | AccessDenied
  | PolicyDenied
  | SecretNotFound
  | ProxyOnly
  | StoreLocked
  | ValueTooLong
  | TtlTooLong
  | TooManyLeases
  | ApprovalPending
  | ApprovalDenied
  | ApprovalExpired
  | TooManyRequests

export const acquire = (request: AcquireRequest): ReturnType<typeof issueLease> =>
  inSpan("acquire", (exit) => spanAttributes(request, exit), issueLease(request))

const issueLease = Effect.fnUntraced(function* (
  request: AcquireRequest
): Effect.fn.Return<AcquireResult, AcquireError | AuditLogError, SecretStore | LeaseRepo | OtelSink> {
  const { secretName, clientId, origin = {} } = request
  const secrets = yield* SecretStore
  const leases = yield* LeaseRepo
  const sink = yield* OtelSink
  const rules = yield* leaseRules
  const { maxActiveLeases } = rules.limits
  const gate = new ApprovalGate(rules.requests, rules.caller)
  const id = randomUUID()

  const pair: LeaseScope = { _tag: "Pair", secretName, clientId }
  const transaction = leases.transaction(pair, (tx): Result.Result<Issued, AcquireError> => {
    const reject = ({ details, error }: Rejection) => {
      tx.record(acquireRefusedFact(secretName, clientId, details, origin))
      return Result.fail(error)
    }
    const permitted = permit(request, secrets.get(secretName), rules)
    if (Result.isFailure(permitted)) return reject(permitted.failure)

    // The name object of the store is shared by all its leases, which saves memory.
    const { approval, secret, ttl } = permitted.success
    const { name, value } = secret
    const lease = makeLease({ id, secretName: name, clientId, ttl, now: tx.now })
    const replaced = tx.ofPair(name, clientId)
    if (tx.weight() >= maxActiveLeases && replaced.length === 0) {
      return reject({ error: new TooManyLeases({ maxActiveLeases }), details: "too many active leases" })
    }
    if (approval !== undefined) {
      const passed = gate.pass(tx, { secretName: name, clientId, ...origin }, ttl, approval)
      if (Result.isFailure(passed)) return reject(passed.failure)
    }
    for (const old of replaced) tx.end(old, replaceFact(old, lease, ttl))
    tx.issue(lease, acquireFact(lease, ttl, origin))
    return Result.succeed({ lease, value, replaced, ttl })
  })

  const [duration, { lease, value, replaced, ttl }] = yield* Effect.timed(
    Effect.tapError(transaction, (error) =>
      Effect.andThen(
        gate.afterFailure(error),
        sink.emit(OtelEvent.leaseRefused(secretName, clientId, origin.via ?? "lease", error._tag))
      )
    )
  )
  yield* metrics.countAcquire(duration, replaced.length)
  const durationMs = Duration.toMillis(duration)
  for (const old of replaced) yield* sink.emit(OtelEvent.leaseReplaced(old, lease, ttl, durationMs))
  yield* sink.emit(OtelEvent.leaseAcquired(lease, ttl, durationMs))
  return { lease, value, replaced }
})

const rejected = (error: AcquireError, details: string) => Result.fail<Rejection>({ error, details })

interface Rejection {
  readonly error: AcquireError
  /** The text that the audit log has of it. */
  readonly details: string
}

interface Permitted {
  readonly secret: Secret
  readonly ttl: GoDuration
  /** What a person has to approve first. */
  readonly approval: Approval | undefined
}

/** Returns the secret and the TTL of a lease that the caller's socket, the policy and the limits permit. */
const permit = (
  { clientId, isForProxy = false, maxBytes = Infinity, origin, secretName, shorten = false, ttl }: AcquireRequest,
  found: Result.Result<Secret, SecretNotFound | StoreLocked>,
  by: Effect.Success<typeof leaseRules>
): Result.Result<Permitted, Rejection> => {
  const forbidden = leaseForbidden(by.caller, secretName, isForProxy)
  if (forbidden !== undefined) return rejected(new AccessDenied(), forbidden)
  if (Result.isFailure(found) && found.failure._tag === "StoreLocked") return rejected(found.failure, lockedReason)
  // Before it matters whether the secret exists.
  const verdict = by.policy.decide({ secretName, clientId, ...origin })
  const refusal = policyRefusal(verdict, secretName)
  if (refusal !== undefined) return Result.fail(refusal)
  if (Result.isFailure(found)) return rejected(found.failure, "secret not found")
  const secret = found.success
  if (secret.proxyOnly === true && !isForProxy) {
    const route = by.routes.find((one) => one.secret === secretName)?.name ?? ""
    return rejected(new ProxyOnly({ name: secretName, route }), "for the proxy only")
  }
  if (maxBytes < Infinity && Buffer.byteLength(Redacted.value(secret.value)) > maxBytes) {
    return rejected(new ValueTooLong({ name: secretName, limit: maxBytes }), "the value is too long for the client")
  }
  const limits = ttlWithin(by.limits.ttl, verdict)
  const granted = grantedTtl(shorten && ttl > limits.maximum ? limits.maximum : ttl, limits)
  if (Result.isSuccess(granted)) {
    const approval = verdict._tag === "Permitted" ? verdict.approval : undefined
    return Result.succeed({ secret, ttl: granted.success, approval })
  }
  const byRule = ttlRefusal(verdict, secretName, ttl, by.limits.ttl)
  return byRule === undefined ? rejected(granted.failure, ttlTooLongDetails(granted.failure)) : Result.fail(byRule)
}

const spanAttributes = (request: AcquireRequest, exit: Exit.Exit<AcquireResult, AcquireError | AuditLogError>) => {
  const attributes = { "secret.name": request.secretName, "client.id": request.clientId }
  if (Exit.isSuccess(exit)) {
    const { lease, replaced } = exit.value
    return { ...attributes, outcome: replaced.length === 0 ? "issued" : "replaced", "lease.id": lease.id }
  }
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return error === undefined ? {} : { ...attributes, outcome: "refused", "error.type": error._tag }
}
