/**
 * A lease: a time-limited grant of one secret to one client. Also the default TTL, the
 * maximum TTL, and the maximum number of leases (max leases).
 *
 * At most one lease of a pair (client_id, secret_name) is active; `acquire` enforces that. A
 * lease that has ended exists only in the audit log. The rows of leases.json are the
 * predecessor's (protocol specification, section 9.3).
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { withoutZeroUnits, formatGoDuration, type GoDuration, hour, millisecond } from "./GoDuration.ts"
import { fromMillis, fromNanos, parseTimestamp, type Timestamp } from "./Timestamp.ts"

export interface Lease {
  /** A random UUID version 4 in lower case. */
  readonly id: string
  readonly secretName: string
  /** Declared by the client; it identifies, it does not authenticate. */
  readonly clientId: string
  readonly createdAt: Timestamp
  /** The last moment at which the lease is active. */
  readonly expiresAt: Timestamp
}

/** What names a lease, also one that is over. */
export type LeaseName = Pick<Lease, "id" | "clientId" | "secretName">

/** No active lease has this id. */
export class LeaseNotFound extends Schema.TaggedError<LeaseNotFound>()("LeaseNotFound", { leaseId: Schema.String }) {
  override get message() {
    return "lease not found"
  }
}

/** The beginning of an id belongs to several active leases. */
export class AmbiguousLease extends Schema.TaggedError<AmbiguousLease>()("AmbiguousLease", {
  ids: Schema.Array(Schema.String)
}) {
  override get message() {
    return `several leases begin like that: ${this.ids.join(", ")}`
  }
}

/** A shorter beginning of an id is more likely a mistake than a choice. */
export const minIdPrefix = 4

/** Makes a lease that begins at `now` (milliseconds, wall clock) and lasts `ttl`. */
export const makeLease = (grant: {
  readonly id: string
  readonly secretName: string
  readonly clientId: string
  readonly now: number
  readonly ttl: GoDuration
}): Lease => ({
  id: grant.id,
  secretName: grant.secretName,
  clientId: grant.clientId,
  createdAt: fromMillis(grant.now),
  expiresAt: fromNanos(BigInt(grant.now) * millisecond + grant.ttl)
})

export interface TtlPolicy {
  readonly default: GoDuration
  readonly maximum: GoDuration
}

/** The predecessor's built-in limits. */
export const defaultTtlPolicy: TtlPolicy = { default: hour, maximum: 24n * hour }

/** The requested duration exceeds the maximum. */
export class TtlTooLong extends Schema.TaggedError<TtlTooLong>()("TtlTooLong", {
  requested: Schema.String,
  maximum: Schema.String
}) {
  override get message() {
    return "invalid TTL duration"
  }

  /** The message is the predecessor's, which names neither. */
  get data() {
    return { requested: withoutZeroUnits(this.requested), maximum: withoutZeroUnits(this.maximum) }
  }
}

/**
 * Returns the duration that a lease gets. Zero, negative and absent durations mean the default, as with the predecessor
 * (protocol specification, section 4).
 */
export const grantedTtl = (requested: GoDuration, policy: TtlPolicy): Result.Result<GoDuration, TtlTooLong> => {
  if (requested <= 0n) return Result.succeed(policy.default)
  if (requested > policy.maximum) {
    return Result.fail(
      new TtlTooLong({ requested: formatGoDuration(requested), maximum: formatGoDuration(policy.maximum) })
    )
  }
  return Result.succeed(requested)
}

/** Returns whether a lease has expired at `now`, in milliseconds. At `expiresAt` itself it is still active. */
export const isExpired = (lease: Lease, now: number): boolean => now > lease.expiresAt.millis

/** The default of max_active_leases, the maximum number of active leases. */
export const defaultMaxActiveLeases = 300_000

/** The limit of active leases is reached. */
export class TooManyLeases extends Schema.TaggedError<TooManyLeases>()("TooManyLeases", {
  maxActiveLeases: Schema.Int
}) {
  override get message() {
    return `there are too many active leases; at most ${this.maxActiveLeases} are kept (max_active_leases)`
  }
}

/** Returns how many leases one counts for: a long client id takes the memory of several. */
export const leaseWeight = (lease: Lease): number => 1 + Math.floor(lease.clientId.length / 512)

/** Moves the expiry after the clock was set, in whole milliseconds. */
export const shiftExpiry = (lease: Lease, millis: number): Lease => ({
  ...lease,
  expiresAt: fromMillis(lease.expiresAt.millis + millis)
})

/** Returns whether an id is that of the client, or with `below` one of its runs. */
export const isOfClient = (id: string, clientId: string, below = false): boolean =>
  id === clientId || (below && id.startsWith(`${clientId}/`))

/** Selects leases by client and secret; undefined selects all. */
export interface LeaseFilter {
  readonly clientId: string | undefined
  readonly secretName: string | undefined
  /** Whether the ids below that of the client count too: `ci/npm[4711]` for `ci`. */
  readonly below?: boolean
}

export const matchesFilter = ({ below, clientId, secretName }: LeaseFilter, lease: Omit<LeaseName, "id">): boolean =>
  (clientId === undefined || isOfClient(lease.clientId, clientId, below)) &&
  (secretName === undefined || lease.secretName === secretName)

/** One element of leases.json. Unknown members are ignored. */
export const LeaseRow = Schema.Struct({
  id: Schema.String,
  secret_name: Schema.String,
  client_id: Schema.String,
  created_at: Schema.String,
  expires_at: Schema.String,
  revoked: Schema.optionalKey(Schema.Boolean)
})
export type LeaseRow = typeof LeaseRow.Type

/** Returns the lease that was issued first. */
export const oldestOf = (leases: ReadonlyArray<Lease>): Lease | undefined =>
  leases.reduce<Lease | undefined>(
    (oldest, lease) => (oldest === undefined || lease.createdAt.millis < oldest.createdAt.millis ? lease : oldest),
    undefined
  )

export const toRow = (lease: Lease): LeaseRow => ({
  id: lease.id,
  secret_name: lease.secretName,
  client_id: lease.clientId,
  created_at: lease.createdAt.text,
  expires_at: lease.expiresAt.text,
  revoked: false
})

/** Decodes a row; none if one of its times is invalid. */
export const fromRow = (row: LeaseRow): Option.Option<Lease> =>
  Option.map(
    Option.all([parseTimestamp(row.created_at), parseTimestamp(row.expires_at)]),
    ([createdAt, expiresAt]) => ({
      id: row.id,
      secretName: row.secret_name,
      clientId: row.client_id,
      createdAt,
      expiresAt
    })
  )
