/**
 * The health report: counts and warnings about secrets and leases. Members, texts and
 * order are the predecessor's (protocol specification, section 4).
 */
import type { Lease } from "./Lease.ts"
import type { SecretInfo } from "./Secret.ts"
import { fromMillis, type Timestamp, zeroTimestamp } from "./Timestamp.ts"

export interface HealthWarning {
  readonly type: "expiring_soon" | "no_rotation_hook" | "stale_secret" | "never_accessed" | DaemonFault["type"]
  readonly secret_name?: string
  readonly lease_id?: string
  readonly message: string
  readonly severity: "warning" | "info"
  readonly timestamp: string
  /** A lease that was asked for longer than the default: its end may come as a surprise. */
  readonly beyond_default?: true
}

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** What the predecessor does not report: the store, the audit log, a rotation or a value needs attention. */
export type DaemonFault = Pick<HealthWarning, "message" | "secret_name"> & {
  readonly type: "store_rejects_changes" | "store_locked" | "audit_findings" | "rotation_failed" | "credential_rejected"
}

/** Returns what needs attention. `lastAccess` is when each recently leased secret was leased, `now` in milliseconds. */
export const healthReport = (
  secrets: ReadonlyArray<SecretInfo>,
  leases: ReadonlyArray<Lease>,
  lastAccess: ReadonlyMap<string, Timestamp>,
  now: number,
  faults: ReadonlyArray<DaemonFault> = [],
  defaultTtl = hour
) => {
  const failing = faults.map((fault): HealthWarning => ({
    ...fault,
    severity: "warning",
    timestamp: fromMillis(now).text
  }))
  const expiring = leases
    .filter((lease) => lease.expiresAt.millis - now < hour)
    .map((lease): HealthWarning => ({
      type: "expiring_soon",
      secret_name: lease.secretName,
      lease_id: lease.id,
      message: `Lease expires in ${formatRemaining(lease.expiresAt.millis - now)}`,
      severity: "warning",
      timestamp: lease.expiresAt.text,
      ...(lease.expiresAt.millis - lease.createdAt.millis > defaultTtl ? { beyond_default: true } : {})
    }))
  const ofSecrets = secrets.flatMap((secret) => warningsOf(secret, lastAccess.get(secret.name), now))
  const count = (...types: ReadonlyArray<HealthWarning["type"]>) =>
    ofSecrets.filter(({ type }) => types.includes(type)).length
  return {
    total_secrets: secrets.length,
    active_leases: leases.length,
    expiring_soon: expiring.length,
    never_rotated: count("no_rotation_hook"),
    stale_secrets: count("stale_secret", "never_accessed"),
    warnings: [...failing, ...expiring, ...ofSecrets]
  }
}

const warningsOf = (secret: SecretInfo, access: Timestamp | undefined, now: number): ReadonlyArray<HealthWarning> => {
  const warnings: Array<HealthWarning> = []
  const warn = (type: HealthWarning["type"], message: string, { text }: Timestamp) =>
    warnings.push({ type, secret_name: secret.name, message, severity: "info", timestamp: text })

  if (secret.rotateVia === "") warn("no_rotation_hook", "No rotation hook configured", zeroTimestamp)
  const unused = now - (access ?? secret.createdAt).millis
  const days = Math.floor(unused / day)
  if (access === undefined) {
    if (days > 30) warn("never_accessed", `Never accessed (created ${days} days ago)`, secret.createdAt)
  } else if (unused > 30 * day) warn("stale_secret", `Not accessed in ${days} days`, access)
  return warnings
}

/** Formats `45s`, `30m`, `2h5m`, `1d0h`, rounded as the predecessor does. */
const formatRemaining = (millis: number): string => {
  if (millis < minute) return `${Math.round(millis / 1000)}s`
  if (millis < hour) return `${Math.round(millis / minute)}m`
  const [days, hours, minutes] = [Math.floor(millis / day), Math.floor(millis / hour), Math.floor(millis / minute) % 60]
  return hours < 24 ? `${hours}h${minutes}m` : `${days}d${hours % 24}h`
}
