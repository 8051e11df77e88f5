/**
 * What the daemon tells the observing world: each event with its level.
 *
 * Names are dotted lower case, metadata camelCase; there is never a value in it.
 * `success: false` means that somebody should look, and then there is an error.
 * Source: the joelclaw contract, section 2.
 */
import type { GoDuration } from "../domain/GoDuration.ts"
import { toMillis } from "../domain/GoDuration.ts"
import type { Lease } from "../domain/Lease.ts"

export interface OtelEvent {
  readonly action: string
  readonly component: "daemon" | "lease"
  readonly level: "debug" | "info" | "warn" | "error"
  readonly success: boolean
  /** Why, if `success` is false. */
  readonly error?: string
  readonly metadata: Readonly<Record<string, unknown>>
}

/** Leases named in one event; the rest are only counted. */
const namedAtMost = 20

export const daemonStarted = (daemon: {
  readonly pid: number
  readonly version: string
  readonly socketPath: string
  readonly activeLeases: number
  readonly secretCount: number
}): OtelEvent => ({ action: "daemon.started", component: "daemon", level: "info", success: true, metadata: daemon })

export const daemonStopped = (daemon: {
  readonly pid: number
  readonly reason: string
  readonly uptimeMs: number
  readonly activeLeases: number
}): OtelEvent => ({ action: "daemon.stopped", component: "daemon", level: "info", success: true, metadata: daemon })

export const daemonCrashRecovered = (recovery: {
  readonly previousPid?: number | undefined
  readonly previousStartedAt?: string | undefined
  readonly downtimeMs?: number | undefined
  readonly staleSocket: boolean
  readonly leasesRestored: number
  readonly leasesExpired: number
}): OtelEvent => ({
  action: "daemon.crash_recovered",
  component: "daemon",
  level: "warn",
  success: true,
  metadata: recovery
})

export const leaseAcquired = (lease: Lease, ttl: GoDuration, durationMs: number): OtelEvent => ({
  action: "lease.acquired",
  component: "lease",
  level: "debug",
  success: true,
  metadata: {
    leaseId: lease.id,
    secretName: lease.secretName,
    clientId: lease.clientId,
    ttlSeconds: toMillis(ttl) / 1000,
    expiresAt: lease.expiresAt.text,
    durationMs
  }
})

export const leaseReplaced = (old: Lease, lease: Lease, ttl: GoDuration): OtelEvent => ({
  action: "lease.replaced",
  component: "lease",
  level: "info",
  success: true,
  metadata: {
    leaseId: lease.id,
    replacedLeaseId: old.id,
    secretName: lease.secretName,
    clientId: lease.clientId,
    ttlSeconds: toMillis(ttl) / 1000
  }
})

/** One for each sweep that found any. */
export const leasesExpired = (leases: ReadonlyArray<Lease>, durationMs: number): OtelEvent => ({
  action: "lease.expired",
  component: "lease",
  level: "debug",
  success: true,
  metadata: {
    count: leases.length,
    leaseIds: leases.slice(0, namedAtMost).map((lease) => lease.id),
    secretNames: leases.slice(0, namedAtMost).map((lease) => lease.secretName),
    durationMs
  }
})
