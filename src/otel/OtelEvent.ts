/**
 * The events that the daemon emits: each with its level and a schema of its metadata,
 * which never contains a secret's value. `npm run docs` generates docs/events.md from
 * them. `success: false` means that an operator should look. Source: the joelclaw
 * contract, section 2.
 */
import * as Schema from "effect/Schema"
import { type GoDuration, toMillis } from "../domain/GoDuration.ts"
import type { RunFacts } from "../domain/leaseFacts.ts"
import type { Lease, LeaseName } from "../domain/Lease.ts"
import type { OpenRequest } from "../domain/OpenRequest.ts"
import type { Notice } from "../domain/Run.ts"
import type { Level } from "../domain/telemetry.ts"

export interface OtelEvent {
  readonly action: string
  readonly component: "daemon" | "lease" | "run" | "proxy" | "secret" | "audit" | "sink"
  readonly level: Level
  readonly success: boolean
  /** The reason, if `success` is false. */
  readonly error?: string
  readonly metadata: Readonly<Record<string, unknown>>
}

export interface Definition<Fields extends Schema.Struct.Fields> {
  readonly action: string
  readonly component: OtelEvent["component"]
  readonly level: Level
  /** When the event is emitted, for docs/events.md. */
  readonly summary: string
  readonly metadata: Schema.Struct<Fields>
}

/** How many leases one event lists. */
const maxListedLeases = 20

const text = (description: string) => Schema.String.annotate({ description })
const count = (description: string) => Schema.Int.annotate({ description })
const flag = (description: string) => Schema.Boolean.annotate({ description })
const names = (description: string) => Schema.Array(Schema.String).annotate({ description })
const millis = (description: string) => Schema.Finite.annotate({ description: `${description}, in milliseconds` })
const duration = millis("duration of the operation")
// Destructuring the namespace would keep the whole library in the bundle.
const optional = Schema.optional

const ofLease = {
  leaseId: text("id of the lease"),
  secretName: text("name of the secret"),
  clientId: text("self-declared id of the client")
}
const ofRun = {
  runId: text("id of the run"),
  clientId: text("self-declared id of the client"),
  program: optional(text("its program, as its starter says"))
}
const ofRequest = {
  requestId: text("id of the request: four letters"),
  secretName: text("name of the secret"),
  clientId: text("self-declared id of the client"),
  via: text("what would take the value, as the client said")
}
const ttlSeconds = Schema.Finite.annotate({ description: "duration of the lease, in seconds" })
const ofLeases = { count: count("number of leases"), leaseIds: names(`ids of the first ${maxListedLeases}`) }
const auditHead = {
  auditSeq: count("sequence number of the last audit entry"),
  auditHash: text("hash of that entry; a copy kept elsewhere proves that the log was not changed")
}

const define = <const Fields extends Schema.Struct.Fields>(
  action: string,
  component: OtelEvent["component"],
  level: Level,
  summary: string,
  fields: Fields
): Definition<Fields> => ({ action, component, level, summary, metadata: Schema.Struct(fields) })

export const events = {
  daemonStarted: define("daemon.started", "daemon", "info", "the daemon is ready", {
    pid: count("process id of the daemon"),
    version: text("version of agent-secrets"),
    socketPath: text("path of the socket"),
    activeLeases: count("active leases"),
    secretCount: count("secrets in the store"),
    ...auditHead
  }),
  daemonStopped: define("daemon.stopped", "daemon", "info", "the daemon stops in order", {
    pid: count("process id of the daemon"),
    reason: text("reason, such as SIGTERM"),
    uptimeMs: millis("uptime"),
    activeLeases: count("leases that remain active"),
    eventsNotSent: optional(
      count("events that joelclaw did not get: dropped since the start, or still queued; absent if none")
    ),
    ...auditHead
  }),
  daemonCrashRecovered: define(
    "daemon.crash_recovered",
    "daemon",
    "warn",
    "the daemon starts after a run that did not stop in order",
    {
      previousPid: optional(count("process id of that run")),
      previousStartedAt: optional(text("start of that run, RFC 3339")),
      downtimeMs: optional(millis("from its last audit entry to this start")),
      staleSocket: flag("whether its socket was removed"),
      leasesRestored: count("leases that are active again"),
      leasesExpired: count("leases that expired meanwhile")
    }
  ),
  daemonCrashLooping: define(
    "daemon.crash_looping",
    "daemon",
    "error",
    "the third such start within a minute; once for each crash loop",
    {
      uncleanStarts: count("such starts within the last minute"),
      firstStartAt: text("time of the first of them, RFC 3339")
    }
  ),
  leaseAcquired: define("lease.acquired", "lease", "debug", "a lease is issued", {
    ...ofLease,
    ttlSeconds,
    expiresAt: text("when the lease expires, RFC 3339"),
    durationMs: duration
  }),
  leaseReplaced: define(
    "lease.replaced",
    "lease",
    "info",
    "a new lease replaces an older one of the same client and secret",
    {
      ...ofLease,
      replacedLeaseId: text("id of the replaced lease"),
      ttlSeconds,
      durationMs: duration
    }
  ),
  leaseRefused: define("lease.refused", "lease", "info", "a request for a lease is rejected", {
    secretName: text("name of the secret, as the client sent it"),
    clientId: text("self-declared id of the client"),
    via: text("what would take the value, as the client said"),
    reason: text("tag of the error")
  }),
  requestOpened: define("request.opened", "lease", "info", "a client waits for a person", {
    ...ofRequest,
    kind: text("approval of a lease, or missing: a secret to be stored")
  }),
  approvalGranted: define("approval.granted", "lease", "info", "a person approved a request", ofRequest),
  approvalDenied: define("approval.denied", "lease", "info", "a person denied a request", ofRequest),
  approvalExpired: define("approval.expired", "lease", "warn", "nobody answered a request", ofRequest),
  leaseExpired: define("lease.expired", "lease", "debug", "a sweep removes expired leases", {
    ...ofLeases,
    secretNames: names("names of their secrets"),
    durationMs: duration
  }),
  leaseRevoked: define("lease.revoked", "lease", "info", "leases are revoked", {
    ...ofLeases,
    secretName: optional(text("name of their secret, if all have the same")),
    durationMs: duration
  }),
  runBegun: define("run.begun", "run", "debug", "a program is started with values", {
    ...ofRun,
    secretCount: count("secrets that it was given")
  }),
  runNotified: define("run.notified", "run", "info", "the starter of a program gets a notice, such as of a revoke", {
    ...ofRun,
    reason: text("kind of the notice"),
    secretName: optional(text("name of the secret; absent if it is about all of them"))
  }),
  runEnded: define("run.ended", "run", "info", "a program that was given values ended, or its starter is gone", {
    ...ofRun,
    outcome: text("its exit status and why it was ended, or that the connection was lost")
  }),
  proxyOpened: define("proxy.opened", "proxy", "info", "a program may use routes of the proxy", {
    ...ofRun,
    routes: names("names of the routes")
  }),
  proxyClosed: define("proxy.closed", "proxy", "info", "a program may use its routes no more", {
    ...ofRun,
    reason: text("why"),
    requests: count("requests that were passed on"),
    refused: count("requests that were refused")
  }),
  proxyRefused: define("proxy.refused", "proxy", "warn", "requests are refused; at most one a minute for each reason", {
    runId: optional(text("id of the run; absent if the request names none")),
    route: optional(text("name of the route")),
    reason: text("code of the refusal"),
    count: count("requests since the last event")
  }),
  proxyMasked: define("proxy.masked", "proxy", "warn", "an upstream echoed a value for the first time in a run", {
    ...ofRun,
    route: text("name of the route")
  }),
  killswitchActivated: define("killswitch.activated", "daemon", "warn", "the killswitch is activated", {
    leasesRevoked: optional(count("leases that were revoked; absent if that failed")),
    secretsRotated: count("secrets that were rotated"),
    secretsWiped: optional(count("secrets that were removed")),
    failures: count("steps that failed"),
    durationMs: duration
  }),
  storeLocked: define("store.locked", "secret", "warn", "the store is locked", {
    activeLeases: count("leases that remain active"),
    secretCount: count("secrets in the store")
  }),
  storeUnlocked: define("store.unlocked", "secret", "warn", "the store is unlocked", {
    lockedSince: text("when it was locked, RFC 3339")
  }),
  secretRotated: define("secret.rotated", "secret", "info", "a rotation command has run", {
    secretName: text("name of the secret"),
    newValue: flag("whether the store has a new value"),
    leasesOfOldValue: count("active leases that were issued before"),
    durationMs: duration
  }),
  auditWriteFailed: define(
    "audit.write_failed",
    "audit",
    "error",
    "the audit log cannot be written, so no lease is issued",
    {}
  ),
  auditWitnessed: define(
    "audit.witnessed",
    "audit",
    "info",
    "the last audit entry is sent as a witness, at the interval of audit_witness",
    auditHead
  ),
  sinkDropped: define("sink.dropped", "sink", "warn", "events were dropped before this one", {
    count: count("number of events")
  })
} as const

/** Returns the constructor of an event. An error makes it one that an operator should look at. */
const make =
  <Fields extends Schema.Struct.Fields>({ action, component, level }: Definition<Fields>) =>
  (metadata: Schema.Struct<Fields>["Type"], error?: string): OtelEvent =>
    error === undefined
      ? { action, component, level, success: true, metadata }
      : { action, component, level: "error", success: false, error, metadata }

export const daemonStarted = make(events.daemonStarted)
export const daemonStopped = make(events.daemonStopped)
export const daemonCrashRecovered = make(events.daemonCrashRecovered)
export const daemonCrashLooping = make(events.daemonCrashLooping)
export const killswitchActivated = make(events.killswitchActivated)
export const storeLocked = make(events.storeLocked)
export const storeUnlocked = make(events.storeUnlocked)
export const secretRotated = make(events.secretRotated)
export const auditWriteFailed = (reason: string) => make(events.auditWriteFailed)({}, reason)
export const auditWitnessed = make(events.auditWitnessed)
export const sinkDropped = (dropped: number) => make(events.sinkDropped)({ count: dropped })

const grant = (lease: Lease, ttl: GoDuration, durationMs: number) => ({
  leaseId: lease.id,
  secretName: lease.secretName,
  clientId: lease.clientId,
  ttlSeconds: toMillis(ttl) / 1000,
  durationMs
})
const listed = (leases: ReadonlyArray<LeaseName>, durationMs: number) => ({
  count: leases.length,
  leaseIds: leases.slice(0, maxListedLeases).map(({ id }) => id),
  durationMs
})

export const leaseAcquired = (lease: Lease, ttl: GoDuration, durationMs: number) =>
  make(events.leaseAcquired)({ ...grant(lease, ttl, durationMs), expiresAt: lease.expiresAt.text })

export const leaseReplaced = (old: Lease, lease: Lease, ttl: GoDuration, durationMs: number) =>
  make(events.leaseReplaced)({ ...grant(lease, ttl, durationMs), replacedLeaseId: old.id })

const ofRunNamed = ({ clientId, id, origin: { program } }: RunFacts) => ({
  runId: id,
  clientId: clientId.slice(0, maxName),
  ...(program === undefined ? {} : { program: program.slice(0, maxName) })
})
export const runBegun = (run: RunFacts) => make(events.runBegun)({ ...ofRunNamed(run), secretCount: run.leases.size })
export const runNotified = (run: RunFacts, { kind, secretName }: Notice) =>
  make(events.runNotified)({
    ...ofRunNamed(run),
    reason: kind,
    ...(secretName === undefined ? {} : { secretName: secretName.slice(0, maxName) })
  })
export const runEnded = (run: RunFacts, outcome: string) => make(events.runEnded)({ ...ofRunNamed(run), outcome })

export const proxyOpened = (run: RunFacts, routes: ReadonlyArray<string>) =>
  make(events.proxyOpened)({ ...ofRunNamed(run), routes })
export const proxyClosed = (
  run: RunFacts,
  counts: { readonly reason: string; readonly requests: number; readonly refused: number }
) => make(events.proxyClosed)({ ...ofRunNamed(run), ...counts })
export const proxyRefused = make(events.proxyRefused)
export const proxyMasked = (run: RunFacts, route: string) => make(events.proxyMasked)({ ...ofRunNamed(run), route })

/** Makes an event of a rejected request. */
export const leaseRefused = (secretName: string, clientId: string, via: string, reason: string) =>
  make(events.leaseRefused)({
    secretName: secretName.slice(0, maxName),
    clientId: clientId.slice(0, maxName),
    via,
    reason
  })

/** A name is cut, because it may be as long as a client likes. */
const maxName = 256

const describeRequest = ({ clientId, id, secretName, via }: OpenRequest) => ({
  requestId: id,
  secretName: secretName.slice(0, maxName),
  clientId: clientId.slice(0, maxName),
  via: via ?? "lease"
})

export const requestOpened = (request: OpenRequest) =>
  make(events.requestOpened)({ ...describeRequest(request), kind: request.kind })

/** The events of how an approval ended. */
export const approvalEnded = {
  approved: (request: OpenRequest) => make(events.approvalGranted)(describeRequest(request)),
  denied: (request: OpenRequest) => make(events.approvalDenied)(describeRequest(request)),
  expired: (request: OpenRequest) => make(events.approvalExpired)(describeRequest(request))
}

/** Makes one event for each sweep that finds any. */
export const leasesExpired = (leases: ReadonlyArray<Lease>, durationMs: number) =>
  make(events.leaseExpired)({
    ...listed(leases, durationMs),
    secretNames: leases.slice(0, maxListedLeases).map(({ secretName }) => secretName)
  })

/** Makes one event for each request that revokes any, with `secretName` if all have the same. */
export const leasesRevoked = (leases: ReadonlyArray<LeaseName>, durationMs: number, secretName?: string) =>
  make(events.leaseRevoked)({ ...listed(leases, durationMs), ...(secretName === undefined ? {} : { secretName }) })
