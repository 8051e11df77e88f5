/**
 * The health report: counts and warnings about secrets and leases. Members, texts and
 * order are the predecessor's (protocol specification, section 4).
 */
import type { Lease } from "./Lease.ts"
import type { SecretInfo } from "./Secret.ts"
import type { Timestamp } from "./Timestamp.ts"
import { zeroTimestamp } from "./Timestamp.ts"

export interface HealthWarning {
  readonly type: "expiring_soon" | "no_rotation_hook" | "stale_secret" | "never_accessed"
  readonly secret_name?: string
  readonly lease_id?: string
  readonly message: string
  readonly severity: "warning" | "info"
  readonly timestamp: string
}

export interface HealthReport {
  readonly total_secrets: number
  readonly active_leases: number
  readonly expiring_soon: number
  readonly never_rotated: number
  readonly stale_secrets: number
  readonly warnings: ReadonlyArray<HealthWarning>
}

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const staleAfter = 30 * day

/** `lastAccess` is when each recently leased secret was leased; `now` is in milliseconds. */
export const healthReport = (
  secrets: ReadonlyArray<SecretInfo>,
  leases: ReadonlyArray<Lease>,
  lastAccess: ReadonlyMap<string, Timestamp>,
  now: number
): HealthReport => {
  const expiring = leases
    .filter((lease) => lease.expiresAt.millis - now < hour)
    .map((lease): HealthWarning => ({
      type: "expiring_soon",
      secret_name: lease.secretName,
      lease_id: lease.id,
      message: `Lease expires in ${formatRemaining(lease.expiresAt.millis - now)}`,
      severity: "warning",
      timestamp: lease.expiresAt.text
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
    warnings: [...expiring, ...ofSecrets]
  }
}

const warningsOf = (secret: SecretInfo, access: Timestamp | undefined, now: number): ReadonlyArray<HealthWarning> => {
  const about = { secret_name: secret.name, severity: "info" } as const
  const warnings: Array<HealthWarning> = []
  if (secret.rotateVia === "") {
    warnings.push({
      type: "no_rotation_hook",
      ...about,
      message: "No rotation hook configured",
      timestamp: zeroTimestamp.text
    })
  }
  const days = Math.floor((now - (access ?? secret.createdAt).millis) / day)
  if (access !== undefined && now - access.millis > staleAfter) {
    warnings.push({ type: "stale_secret", ...about, message: `Not accessed in ${days} days`, timestamp: access.text })
  } else if (access === undefined && days > 30) {
    warnings.push({
      type: "never_accessed",
      ...about,
      message: `Never accessed (created ${days} days ago)`,
      timestamp: secret.createdAt.text
    })
  }
  return warnings
}

/** Formats `45s`, `30m`, `2h5m`, `1d0h`, rounded as the predecessor does. */
const formatRemaining = (millis: number): string => {
  if (millis < minute) return `${Math.round(millis / 1000)}s`
  if (millis < hour) return `${Math.round(millis / minute)}m`
  const [days, hours, minutes] = [Math.floor(millis / day), Math.floor(millis / hour), Math.floor(millis / minute) % 60]
  return hours < 24 ? `${hours}h${minutes}m` : `${days}d${hours % 24}h`
}
