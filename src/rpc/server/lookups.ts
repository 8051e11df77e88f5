/**
 * The methods that look something up: entries of the audit log, and the leases.
 *
 * What they ask for can be much more than one reply may hold, and each is cut to a
 * number of things and a number of characters. What is left out is told.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { AuditLog } from "../../daemon/audit/AuditLog.ts"
import { listLeases } from "../../daemon/operations/listLeases.ts"
import { searchAudit } from "../../daemon/operations/searchAudit.ts"
import type { AuditEntry } from "../../domain/AuditEntry.ts"
import { nameLimit } from "../../domain/Secret.ts"
import { parseTimestamp } from "../../domain/Timestamp.ts"
import { atMost, numberParam, readParams, stringParam } from "./params.ts"
import { foldNames, RpcError } from "../protocol/Protocol.ts"

/** Entries or leases that one reply gives when it is not told how many, and at the most. */
const defaultCount = 100
const maxCount = 10_000
/** And no more of them than are so long: ten thousand have 4 MB, but names can be long, and many can ask at once. */
const maxReplyLength = 8 * 1024 * 1024
/** Clients and secrets that are counted. */
const maxCounted = 100

const leasesParams = readParams("LeasesParams", {
  client_id: stringParam,
  secret_name: stringParam,
  limit: numberParam,
  top: numberParam
})

/** Beyond the predecessor. With a `top`, the clients and the secrets that have the most leases are told as well. */
export const leasesMethod = Effect.fnUntraced(function* (raw: unknown) {
  const { client_id, limit, secret_name, top } = yield* leasesParams(raw ?? {})
  yield* atMost(nameLimit, client_id, "client_id")
  yield* atMost(nameLimit, secret_name, "secret_name")
  const { byClient, bySecret, leases, total } = yield* listLeases({
    filter: { clientId: client_id || undefined, secretName: secret_name || undefined },
    limit: countOf(limit),
    length: maxReplyLength,
    top: Number.isSafeInteger(top) ? Math.min(Math.max(top, 0), maxCounted) : 0
  })
  return {
    leases: leases.map((lease) => ({
      lease_id: lease.id,
      secret_name: lease.secretName,
      client_id: lease.clientId,
      created_at: lease.createdAt.text,
      expires_at: lease.expiresAt.text
    })),
    total,
    by_client: top > 0 ? byClient.map(([client, count]) => ({ client_id: client, count })) : undefined,
    by_secret: top > 0 ? bySecret.map(([secret, count]) => ({ secret_name: secret, count })) : undefined
  }
})

const auditParams = readParams("AuditParams", {
  secret_name: stringParam,
  client_id: stringParam,
  action: stringParam,
  since: stringParam,
  after: numberParam
})

/** The predecessor knows `tail` alone. Who gives `after` is told besides where the log ends and whether all was looked through. */
export const auditMethod = Effect.fnUntraced(function* (raw: unknown) {
  const audit = yield* AuditLog
  const given = foldNames(Predicate.isReadonlyObject(raw) ? raw : {})
  const count = countOf(given["tail"])
  if (!beyondTail.some((name) => Object.hasOwn(given, name))) {
    return { entries: (yield* audit.tail(count, maxReplyLength)).map(laidOut) }
  }
  const params = yield* auditParams(raw)
  for (const name of ["secret_name", "client_id", "action", "since"] as const) {
    yield* atMost(nameLimit, params[name], name)
  }
  const since = params.since === "" ? undefined : Option.getOrUndefined(parseTimestamp(params.since))
  if (params.since !== "" && since === undefined) {
    return yield* new RpcError({ tag: "InvalidParams", message: "since is not a time as RFC 3339 writes it" })
  }
  // Before the search: what is written meanwhile is behind this number, and is found by whoever asks for that.
  const { seq } = yield* audit.position
  const { complete, entries } = yield* searchAudit({
    secretName: params.secret_name || undefined,
    clientId: params.client_id || undefined,
    action: params.action || undefined,
    since,
    after: params.after,
    count,
    length: maxReplyLength
  })
  return { entries: entries.map((entry) => ({ ...laidOut(entry), seq: entry.seq })), last_seq: seq, complete }
})

const beyondTail = ["secret_name", "client_id", "action", "since", "after"]

const laidOut = ({ timestamp, action, secret_name, client_id, lease_id, details, success }: AuditEntry) => ({
  timestamp,
  action,
  secret_name,
  client_id,
  lease_id,
  details,
  success
})

/** Whatever is not a whole number of things asks for the usual number; none can ask for more than one reply may hold. */
const countOf = (given: unknown): number => {
  if (typeof given !== "number" || !Number.isSafeInteger(given) || given <= 0) return defaultCount
  return Math.min(given, maxCount)
}
