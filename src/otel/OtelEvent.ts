/**
 * What the daemon tells the observing world: each event with its level and a schema
 * of its metadata.
 *
 * Names are dotted lower case, metadata camelCase; there is never a value in it.
 * `success: false` means that somebody should look, and then there is an error. The
 * table in docs/events.md is made from these definitions. Source: the joelclaw
 * contract, section 2.
 */
import * as Schema from "effect/Schema"
import type { GoDuration } from "../domain/GoDuration.ts"
import { toMillis } from "../domain/GoDuration.ts"
import type { Lease } from "../domain/Lease.ts"
import type { Level } from "../domain/TelemetryConfig.ts"

export interface OtelEvent {
  readonly action: string
  readonly component: "daemon" | "lease" | "secret" | "audit" | "sink"
  readonly level: Level
  readonly success: boolean
  /** Why, if `success` is false. */
  readonly error?: string
  readonly metadata: Readonly<Record<string, unknown>>
}

export interface Definition<Fields extends Schema.Struct.Fields> {
  readonly action: string
  readonly component: OtelEvent["component"]
  readonly level: Level
  /** When it is emitted, for the table in the docs. */
  readonly summary: string
  readonly metadata: Schema.Struct<Fields>
}

/** Leases named in one event; the rest are only counted. */
const namedAtMost = 20

const text = (description: string) => Schema.String.annotate({ description })
const count = (description: string) => Schema.Int.annotate({ description })
const flag = (description: string) => Schema.Boolean.annotate({ description })
const names = (description: string) => Schema.Array(Schema.String).annotate({ description })
const millis = (description: string) => Schema.Finite.annotate({ description: `${description}, in milliseconds` })
const duration = millis("how long the operation took")
// Not taken out of the namespace as a whole: the bundle would keep all of the library for it.
const optional = Schema.optional

const ofLease = {
  leaseId: text("the lease's id"),
  secretName: text("the secret's name"),
  clientId: text("who asked, as it calls itself")
}
const ttlSeconds = Schema.Finite.annotate({ description: "how long the lease lasts" })

const define = <const Fields extends Schema.Struct.Fields>(
  action: string,
  component: OtelEvent["component"],
  level: Level,
  summary: string,
  fields: Fields
): Definition<Fields> => ({ action, component, level, summary, metadata: Schema.Struct(fields) })

export const events = {
  daemonStarted: define("daemon.started", "daemon", "info", "the daemon serves", {
    pid: count("the process"),
    version: text("the version of agent-secrets"),
    socketPath: text("the socket"),
    activeLeases: count("leases found active"),
    secretCount: count("secrets in the store"),
    auditSeq: count("the number of the last entry of the audit log"),
    auditHash: text("the hash of that entry: kept elsewhere, a witness")
  }),
  daemonStopped: define("daemon.stopped", "daemon", "info", "the daemon ends in order", {
    pid: count("the process"),
    reason: text("what ended it, such as SIGTERM"),
    uptimeMs: millis("how long it ran"),
    activeLeases: count("leases that stay active"),
    auditSeq: count("the number of the last entry of the audit log"),
    auditHash: text("the hash of that entry: kept elsewhere, a witness")
  }),
  daemonCrashRecovered: define("daemon.crash_recovered", "daemon", "warn", "the last daemon did not stop in order", {
    previousPid: optional(count("its process")),
    previousStartedAt: optional(text("when it was started")),
    downtimeMs: optional(millis("from its last audit entry to this start")),
    staleSocket: flag("whether its socket had to be removed"),
    leasesRestored: count("leases that are active again"),
    leasesExpired: count("leases whose time was over")
  }),
  daemonCrashLooping: define(
    "daemon.crash_looping",
    "daemon",
    "error",
    "the daemon starts for the third time within a minute after a run that did not end in order; once for each crash loop",
    {
      uncleanStarts: count("such starts within the last minute"),
      firstStartAt: text("the first of them, RFC 3339")
    }
  ),
  leaseAcquired: define("lease.acquired", "lease", "debug", "a lease was issued", {
    ...ofLease,
    ttlSeconds,
    expiresAt: text("when it ends, RFC 3339"),
    durationMs: duration
  }),
  leaseReplaced: define("lease.replaced", "lease", "info", "an older lease of the pair ended for a new one", {
    ...ofLease,
    replacedLeaseId: text("the lease that ended"),
    ttlSeconds,
    durationMs: duration
  }),
  leaseExpired: define("lease.expired", "lease", "debug", "a sweep found leases whose time was over", {
    count: count("how many"),
    leaseIds: names(`the first ${namedAtMost} of them`),
    secretNames: names("their secrets"),
    durationMs: duration
  }),
  leaseRevoked: define("lease.revoked", "lease", "info", "leases were ended on purpose", {
    count: count("how many"),
    leaseIds: names(`the first ${namedAtMost} of them`),
    secretName: optional(text("their secret, if it is one")),
    durationMs: duration
  }),
  killswitchActivated: define("killswitch.activated", "daemon", "warn", "every lease was ended", {
    leasesRevoked: optional(count("how many; absent if that failed")),
    secretsRotated: count("secrets that were rotated"),
    secretsWiped: optional(count("secrets that were removed")),
    failures: count("steps that failed"),
    durationMs: duration
  }),
  secretRotated: define("secret.rotated", "secret", "info", "a rotation command was run", {
    secretName: text("the secret's name"),
    newValue: flag("whether the store has a new value"),
    leasesOfOldValue: count("active leases that were granted before"),
    durationMs: duration
  }),
  auditWriteFailed: define(
    "audit.write_failed",
    "audit",
    "error",
    "the audit log cannot be written, so nothing is leased",
    {}
  ),
  sinkDropped: define("sink.dropped", "sink", "warn", "events were lost before this one", {
    count: count("how many")
  })
} as const

type Metadata<D> = D extends Definition<infer Fields> ? Schema.Struct<Fields>["Type"] : never

const make = <Fields extends Schema.Struct.Fields>(
  definition: Definition<Fields>,
  metadata: Schema.Struct<Fields>["Type"],
  error?: string
): OtelEvent => ({
  action: definition.action,
  component: definition.component,
  level: error === undefined ? definition.level : "error",
  success: error === undefined,
  ...(error === undefined ? {} : { error }),
  metadata
})

export const daemonStarted = (metadata: Metadata<typeof events.daemonStarted>) => make(events.daemonStarted, metadata)

export const daemonStopped = (metadata: Metadata<typeof events.daemonStopped>) => make(events.daemonStopped, metadata)

export const daemonCrashRecovered = (metadata: Metadata<typeof events.daemonCrashRecovered>) =>
  make(events.daemonCrashRecovered, metadata)

export const daemonCrashLooping = (metadata: Metadata<typeof events.daemonCrashLooping>, error: string) =>
  make(events.daemonCrashLooping, metadata, error)

export const leaseAcquired = (lease: Lease, ttl: GoDuration, durationMs: number) =>
  make(events.leaseAcquired, {
    leaseId: lease.id,
    secretName: lease.secretName,
    clientId: lease.clientId,
    ttlSeconds: toMillis(ttl) / 1000,
    expiresAt: lease.expiresAt.text,
    durationMs
  })

export const leaseReplaced = (old: Lease, lease: Lease, ttl: GoDuration, durationMs: number) =>
  make(events.leaseReplaced, {
    leaseId: lease.id,
    replacedLeaseId: old.id,
    secretName: lease.secretName,
    clientId: lease.clientId,
    ttlSeconds: toMillis(ttl) / 1000,
    durationMs
  })

const firstIds = (leases: ReadonlyArray<Lease>) => leases.slice(0, namedAtMost).map(({ id }) => id)

/** One for each sweep that found any. */
export const leasesExpired = (leases: ReadonlyArray<Lease>, durationMs: number) =>
  make(events.leaseExpired, {
    count: leases.length,
    leaseIds: firstIds(leases),
    secretNames: leases.slice(0, namedAtMost).map(({ secretName }) => secretName),
    durationMs
  })

/** One for each request that ended any; `secretName` if all of them are of one secret. */
export const leasesRevoked = (leases: ReadonlyArray<Lease>, durationMs: number, secretName?: string) =>
  make(events.leaseRevoked, {
    count: leases.length,
    leaseIds: firstIds(leases),
    ...(secretName === undefined ? {} : { secretName }),
    durationMs
  })

export const killswitchActivated = (metadata: Metadata<typeof events.killswitchActivated>, error?: string) =>
  make(events.killswitchActivated, metadata, error)

export const secretRotated = (metadata: Metadata<typeof events.secretRotated>, error?: string) =>
  make(events.secretRotated, metadata, error)

export const auditWriteFailed = (reason: string) => make(events.auditWriteFailed, {}, reason)

export const sinkDropped = (lost: number) => make(events.sinkDropped, { count: lost })
