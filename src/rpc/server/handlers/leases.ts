/**
 * The methods about leases: acquire, revoke, list.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { acquire } from "../../../daemon/operations/acquire.ts"
import { countUnwatched } from "../../../daemon/operations/exposure.ts"
import { findHandedOut } from "../../../daemon/operations/findHandedOut.ts"
import { DaemonInfo } from "../../../daemon/lifecycle/DaemonInfo.ts"
import { killswitch } from "../../../daemon/operations/killswitch.ts"
import { listLeases } from "../../../daemon/operations/listLeases.ts"
import { reportRejection } from "../../../daemon/operations/rejections.ts"
import { revokeAllLeases, revokeLease, revokeMatchingLeases } from "../../../daemon/operations/revoke.ts"
import { loadedProxy } from "../../../daemon/proxy/Proxy.ts"
import type { ProxyRuns, ProxyUse } from "../../../daemon/proxy/ProxyRuns.ts"
import { Runs } from "../../../daemon/runs/Runs.ts"
import type { Run } from "../../../daemon/runs/RunTable.ts"
import * as GoDuration from "../../../domain/GoDuration.ts"
import { quote } from "../../../domain/goText.ts"
import { proxyWay } from "../../../domain/ProxyRoute.ts"
import { nameLimit } from "../../../domain/Secret.ts"
import { fromMillis } from "../../../domain/Timestamp.ts"
import { maxReplyCount, maxReplyText } from "../../protocol/limits.ts"
import { RpcError } from "../../protocol/Protocol.ts"
import { isRunId, isSilent, originFields, readOrigin } from "../leaseOrigin.ts"
import { atMost, reached, readParams, required, resultCount, succeeded } from "../params.ts"

/** No useful duration is longer. */
const durationLimit = 256

const teamName = Effect.map(DaemonInfo, ({ team }) => team)

/** How many clients and secrets `leases` counts at most. */
const maxTop = 100

/** Beyond the predecessor: max_bytes, shorten, what the client says about the use, and the run that the lease is for. */
const leaseParams = readParams("LeaseParams", {
  secret_name: "string",
  client_id: "string",
  ttl: "string",
  max_bytes: "number",
  shorten: "bool",
  run_id: "string",
  ...originFields
})
const rejectionParams = readParams("ReportRejectionParams", {
  secret_name: "string",
  client_id: "string",
  ...originFields
})
const leasesParams = readParams("LeasesParams", {
  client_id: "string",
  secret_name: "string",
  below: "bool",
  limit: "number",
  top: "number"
})
const revokeParams = readParams("RevokeParams", {
  lease_id: "string",
  prefix: "bool",
  returned: "bool",
  report_runs: "bool"
})
const matchingParams = readParams("RevokeMatchingParams", {
  client_id: "string",
  secret_name: "string",
  report_runs: "bool"
})
const killswitchParams = readParams("KillswitchParams", {
  rotate_all: "bool",
  wipe_store: "bool",
  report_runs: "bool"
})

/** Returns what a lease says about the programs that run with its value, or use it through the proxy. */
const running = (runs: ReadonlyArray<Run>, secretName: string, proxy: ProxyRuns | undefined) =>
  runs.length === 0
    ? {}
    : {
        runs: runs.map(({ id, origin, pid }) => ({
          run_id: id,
          program: origin.program,
          pid,
          via: origin.via,
          ...(origin.via === proxyWay ? useOf(proxy?.uses(id, secretName)) : {})
        }))
      }
const useOf = ({ lastUsed, requests }: ProxyUse = { requests: 0, lastUsed: undefined }) => ({
  requests,
  last_used: lastUsed === undefined ? undefined : fromMillis(lastUsed).text
})

export const leaseHandlers = {
  "secrets.lease": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* leaseParams(raw)
    yield* required(params.secret_name, "secret_name")
    yield* required(params.client_id, "client_id")
    yield* atMost(durationLimit, params.ttl, "ttl")
    const ttl = params.ttl === "" ? Result.succeed(0n) : GoDuration.parseDuration(params.ttl)
    if (Result.isFailure(ttl)) {
      return yield* new RpcError({
        tag: "InvalidTtl",
        message: `invalid ttl duration: ${ttl.failure}`,
        // Without the duration, which is quoted and may be anything.
        recorded: `invalid ttl duration: ${ttl.failure.split(' "')[0]}`
      })
    }
    // It would record a value that is handed out as one that is not.
    if (params.via === proxyWay) {
      return yield* new RpcError({
        tag: "InvalidParams",
        message: "invalid parameters: via is not proxy: use proxy.open"
      })
    }
    const request = {
      secretName: params.secret_name,
      clientId: params.client_id,
      ttl: ttl.success,
      shorten: params.shorten,
      maxBytes: params.max_bytes > 0 ? Math.trunc(params.max_bytes) : undefined,
      // Most requests say nothing.
      origin: isSilent(params)
        ? {}
        : { ...(yield* readOrigin(params)), ...(isRunId(params.run_id) && { run_id: params.run_id }) }
    }
    const { lease, value } = yield* acquire(request)
    return { lease_id: lease.id, value: Redacted.value(value), expires_at: lease.expiresAt.text }
  }),

  /** Beyond the predecessor: a target rejected the value that a helper gave to it. */
  "secrets.reportRejection": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* rejectionParams(raw)
    yield* required(params.secret_name, "secret_name")
    yield* required(params.client_id, "client_id")
    yield* reportRejection(params.secret_name, params.client_id, yield* readOrigin(params))
    return succeeded("recorded")
  }),

  /**
   * Beyond the predecessor. With `below` the runs of a client count too. With `top` it also returns the clients and the
   * secrets that have the most leases.
   */
  "secrets.leases": Effect.fnUntraced(function* (raw: unknown) {
    const { below, client_id, limit, secret_name, top } = yield* leasesParams(raw ?? {})
    yield* atMost(nameLimit, client_id, "client_id")
    yield* atMost(nameLimit, secret_name, "secret_name")
    const { byClient, bySecret, leases, total } = yield* listLeases({
      filter: { clientId: client_id || undefined, secretName: secret_name || undefined, below },
      limit: resultCount(limit),
      length: maxReplyText,
      top: Number.isSafeInteger(top) ? Math.min(Math.max(top, 0), maxTop) : 0
    })
    const { table } = yield* Runs
    const proxy = yield* loadedProxy
    return {
      leases: leases.map((lease) => ({
        lease_id: lease.id,
        secret_name: lease.secretName,
        client_id: lease.clientId,
        created_at: lease.createdAt.text,
        expires_at: lease.expiresAt.text,
        ...running(table.ofSecret(lease.secretName, lease.clientId), lease.secretName, proxy)
      })),
      total,
      by_client: top > 0 ? byClient.map(([client, count]) => ({ client_id: client, count })) : undefined,
      by_secret: top > 0 ? bySecret.map(([secret, count]) => ({ secret_name: secret, count })) : undefined
    }
  }),

  "secrets.revoke": Effect.fnUntraced(function* (raw: unknown) {
    const { lease_id, prefix, report_runs, returned } = yield* revokeParams(raw)
    yield* required(lease_id, "lease_id")
    // Beyond the predecessor: with `prefix`, the beginning of an id is enough.
    const {
      lease: { id },
      runIds,
      wasOver
    } = yield* revokeLease(lease_id, prefix, returned)
    const more = {
      ...(prefix ? { lease_id: id, was_over: wasOver } : {}),
      ...reached(report_runs, runIds, yield* teamName)
    }
    return succeeded(`lease ${quote(id)} revoked successfully`, more)
  }),

  /** Beyond the predecessor. It requires a filter: `revokeAll` revokes all leases. */
  "secrets.revokeMatching": Effect.fnUntraced(function* (raw: unknown) {
    const { client_id, report_runs, secret_name } = yield* matchingParams(raw)
    yield* required(client_id === "" ? secret_name : client_id, "client_id or secret_name")
    yield* atMost(nameLimit, secret_name, "secret_name")
    const { revoked, runIds } = yield* revokeMatchingLeases({
      clientId: client_id || undefined,
      secretName: secret_name || undefined
    })
    const more = { leases_revoked: revoked.length, ...reached(report_runs, runIds, yield* teamName) }
    return succeeded(`${revoked.length} active leases revoked`, more)
  }),

  "secrets.revokeAll": Effect.fnUntraced(function* () {
    const count = yield* revokeAllLeases()
    return succeeded(`all ${count} active leases revoked`, { leases_revoked: count })
  }),

  /** Beyond the predecessor's `revokeAll`. A step that failed is part of the result. */
  "secrets.killswitch": Effect.fnUntraced(function* (raw: unknown) {
    const { report_runs, rotate_all, wipe_store } = yield* killswitchParams(raw ?? {})
    const report = yield* killswitch({ revokeAll: true, rotateAll: rotate_all, wipeStore: wipe_store })
    return {
      success: report.failures.length === 0,
      leases_revoked: report.leasesRevoked,
      rotated: report.rotated,
      secrets_wiped: report.secretsWiped,
      failures: report.failures,
      ...reached(report_runs, report.runIds, yield* teamName)
    }
  }),

  /** Beyond the predecessor: the secrets whose values were leased since they last changed, the last one first. */
  "secrets.handedOut": Effect.fnUntraced(function* () {
    const { complete, secrets, total } = yield* findHandedOut({ count: maxReplyCount, length: maxReplyText })
    return {
      secrets: secrets.map(({ lastAt, leases, secretName }) => ({
        secret_name: secretName,
        leases,
        last_leased_at: lastAt
      })),
      total,
      complete,
      unwatched: yield* countUnwatched(() => true)
    }
  })
}
