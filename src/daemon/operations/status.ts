/** status: the counts of what exists for the caller, and the diagnostics for a person who looks for a fault. */
import * as Effect from "effect/Effect"
import { attestedClient, permitsSecret } from "../../domain/Caller.ts"
import { isHidden } from "../../domain/Policy.ts"
import { proxyWay } from "../../domain/ProxyRoute.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { CurrentPolicy } from "./CurrentPolicy.ts"
import { ownLeases } from "./listLeases.ts"
import { OpenRequests } from "./RequestTable.ts"
import { SecretStore } from "../secrets/SecretStore.ts"

/**
 * Lists the secrets that exist for the caller, and that the policy does not hide from the client. `every` leaves out the
 * policy, which is about leases, for a caller who may change every secret.
 */
export const visibleSecrets = Effect.fnUntraced(function* (clientId: string, every = false) {
  const secrets = yield* SecretStore
  const caller = yield* CurrentCaller
  const policy = (yield* CurrentPolicy).get()
  const all = yield* secrets.list
  if (every && caller.scope === undefined) return all
  const client = attestedClient(caller, clientId)
  return all.filter(({ name }) => permitsSecret(caller, name) && !isHidden(policy, name, client))
})

/**
 * Lists the visible secrets that the client may use in this way, each with the rule that decides about it and whether
 * a person has to approve it, and counts the others that exist for the caller.
 */
export const usableSecrets = Effect.fnUntraced(function* (clientId: string, via: string) {
  const secrets = yield* SecretStore
  const caller = yield* CurrentCaller
  const policy = (yield* CurrentPolicy).get()
  const client = attestedClient(caller, clientId)
  const table = yield* OpenRequests
  const existing = (yield* secrets.list).filter(({ name }) => permitsSecret(caller, name))
  const usable = existing.flatMap((secret) => {
    const verdict = policy.decide({ secretName: secret.name, clientId: client, via })
    const isReachable = secret.proxyOnly !== true || via === proxyWay
    const isPermitted = verdict._tag === "Permitted" || (verdict._tag === "Refused" && verdict.key !== "via")
    const rule = policy.rules[(verdict.rule ?? 0) - 1]
    const isApproved = table.isApproved({ kind: "approval", secretName: secret.name, clientId: client, via })
    const approval = rule?.approval === undefined ? "none" : isApproved ? "granted" : "needed"
    return isPermitted && isReachable ? [{ secret, rule, approval }] : []
  })
  return { usable, hidden: existing.length - usable.length }
})

export const daemonStatus = Effect.gen(function* () {
  const secrets = yield* SecretStore
  const leases = yield* LeaseRepo
  const caller = yield* CurrentCaller
  const isLimited = caller.scope !== undefined
  return {
    secretCount: isLimited
      ? yield* Effect.match(visibleSecrets(""), { onSuccess: (found) => found.length, onFailure: () => 0 })
      : yield* secrets.count,
    lockedSince: secrets.lockedSince(),
    activeLeases: isLimited ? (yield* ownLeases).length : yield* leases.activeCount,
    storeState: secrets.origin
  }
})

/** Reads the leases, so its cost grows with their number, unlike `daemonStatus`. It has an answer while they cannot be read. */
export const diagnostics = Effect.gen(function* () {
  const audit = yield* AuditLog
  const leases = yield* LeaseRepo
  const secrets = yield* SecretStore
  const sink = yield* OtelSink
  return {
    activeLeases: yield* leases.activeCount,
    expiredLeases: yield* leases.expiredCount,
    unreadableLeases: leases.unreadableCount,
    oldestLease: (yield* Effect.orElseSucceed(leases.oldest, () => undefined))?.createdAt,
    audit: yield* audit.diagnostics,
    storeFailure: yield* secrets.failure,
    lockedSince: secrets.lockedSince(),
    sinks: yield* sink.state
  }
})
