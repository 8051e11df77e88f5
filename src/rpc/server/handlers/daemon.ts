/**
 * The methods about the daemon itself: its status, its audit log, its metrics, a restart.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { DaemonInfo } from "../../../daemon/lifecycle/DaemonInfo.ts"
import { CurrentLimits } from "../../../daemon/operations/leaseRules.ts"
import { AuditLog } from "../../../daemon/audit/AuditLog.ts"
import { CurrentCaller } from "../../../daemon/audit/CurrentCaller.ts"
import { Restart } from "../../../daemon/lifecycle/Restart.ts"
import { sampleGauges } from "../../../daemon/lifecycle/watches.ts"
import { CurrentRoutes } from "../../../daemon/operations/CurrentRoutes.ts"
import { acceptFindings } from "../../../daemon/operations/acceptFindings.ts"
import { searchAudit } from "../../../daemon/operations/searchAudit.ts"
import { daemonStatus, diagnostics } from "../../../daemon/operations/status.ts"
import { loadedProxy } from "../../../daemon/proxy/Proxy.ts"
import type { AuditEntry } from "../../../domain/AuditEntry.ts"
import { nameLimit } from "../../../domain/Secret.ts"
import { parseTimestamp } from "../../../domain/Timestamp.ts"
import { prometheusText } from "../../../otel/metrics.ts"
import { build, version } from "../../../version.ts"
import { maxReplyText } from "../../protocol/limits.ts"
import { RpcError } from "../../protocol/Protocol.ts"
import { atMost, readParams, resultCount } from "../params.ts"

const searchParams = readParams("AuditParams", {
  secret_name: "string",
  client_id: "string",
  below: "bool",
  action: "string",
  since: "string",
  after: "number"
})

export const daemonHandlers = {
  "secrets.status": Effect.fnUntraced(function* () {
    const daemon = yield* DaemonInfo
    const now = yield* daemonStatus
    const { scope } = yield* CurrentCaller
    return {
      running: true,
      started_at: daemon.startedAt.text,
      secrets_count: now.secretCount,
      active_leases: now.activeLeases,
      heartbeat: scope === undefined ? yield* daemon.heartbeat : undefined,
      store_state: now.storeState,
      locked_since: now.lockedSince
    }
  }),

  /** The predecessor has `tail` alone. A search also returns where the log ends, where it begins if entries were removed, and whether all of it was searched. */
  "secrets.audit": Effect.fnUntraced(function* (raw: unknown) {
    const audit = yield* AuditLog
    const given = Predicate.isReadonlyObject(raw) ? raw : {}
    const count = resultCount(given["tail"])
    if (!searchMembers.some((name) => Object.hasOwn(given, name))) {
      return { entries: (yield* audit.tail(count, maxReplyText)).map(entryResult) }
    }
    const params = yield* searchParams(raw)
    for (const name of ["secret_name", "client_id", "action", "since"] as const) {
      yield* atMost(nameLimit, params[name], name)
    }
    const since = params.since === "" ? undefined : Option.getOrUndefined(parseTimestamp(params.since))
    if (params.since !== "" && since === undefined) {
      return yield* new RpcError({ tag: "InvalidParams", message: "since is not a time as RFC 3339 writes it" })
    }
    // Read before the search: a later search after this number finds what is written meanwhile.
    const { seq } = yield* audit.position
    const { begin, complete, entries } = yield* searchAudit({
      secretName: params.secret_name || undefined,
      clientId: params.client_id || undefined,
      below: params.below,
      action: params.action || undefined,
      since,
      after: params.after,
      count,
      length: maxReplyText
    })
    return {
      entries: entries.map((entry) => ({ ...entryResult(entry), seq: entry.seq })),
      last_seq: seq,
      complete,
      log_from_seq: begin?.seq,
      log_from_at: begin?.timestamp
    }
  }),

  /** Beyond the predecessor. */
  "secrets.acceptFindings": Effect.fnUntraced(function* () {
    return { accepted: yield* acceptFindings }
  }),

  /** Beyond the predecessor's status, whose members stay as they are. A caller with limits gets what is about itself. */
  "daemon.status": Effect.fnUntraced(function* () {
    const daemon = yield* DaemonInfo
    const { role, scope } = yield* CurrentCaller
    const own = {
      pid: daemon.pid,
      version,
      build,
      started_at: daemon.startedAt.text,
      uptime_ms: (yield* Clock.currentTimeMillis) - daemon.startedAt.millis,
      role
    }
    if (scope !== undefined) return own
    const { activeLeases, audit, expiredLeases, lockedSince, oldestLease, sinks, storeFailure, unreadableLeases } =
      yield* diagnostics
    return {
      ...own,
      started_by: daemon.startedBy,
      sockets: daemon.sockets,
      team: daemon.team,
      proxy: yield* proxyState,
      leases: {
        active: activeLeases,
        expired: expiredLeases,
        unreadable: unreadableLeases,
        capacity: (yield* CurrentLimits).maxActiveLeases,
        oldest: oldestLease?.text
      },
      audit: {
        entries: audit.seq,
        size: audit.size,
        archives: audit.archives,
        failure: audit.failure,
        findings: audit.findings,
        adopted: audit.adopted
      },
      store: { failure: storeFailure, locked_since: lockedSince },
      sinks: sinks.map(({ dropped, kind, lastFailure, queued, sent, target }) => ({
        kind,
        target,
        sent,
        dropped,
        queued,
        last_failure: lastFailure
      })),
      unclean_starts: yield* daemon.uncleanStarts
    }
  }),

  /** Beyond the predecessor. */
  "daemon.metrics": Effect.fnUntraced(function* () {
    yield* sampleGauges
    return { text: yield* prometheusText }
  }),

  "daemon.restart": Effect.fnUntraced(function* () {
    const restart = yield* Restart
    yield* restart.request
    return { accepted: true, message: "restart accepted; the supervisor will start a fresh daemon" }
  })
}

/** Returns undefined where config.json has no routes. */
const proxyState = Effect.gen(function* () {
  const routes = (yield* CurrentRoutes).get()
  const loaded = yield* loadedProxy
  if (routes.length === 0) return undefined
  return { routes: routes.length, runs: loaded?.all().length ?? 0, worker_pid: loaded?.worker()?.pid }
})

/** Any of these asks for a search; without them the last entries are returned. */
const searchMembers = ["secret_name", "client_id", "action", "since", "after"]

const entryResult = ({
  timestamp,
  action,
  secret_name,
  client_id,
  lease_id,
  details,
  success,
  socket,
  via,
  program,
  session,
  reason
}: AuditEntry) => ({
  timestamp,
  action,
  secret_name,
  client_id,
  lease_id,
  details,
  success,
  socket,
  via,
  program,
  session,
  reason
})
