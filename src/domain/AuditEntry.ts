/**
 * One line of audit.log: what it says, and for each event the words it says it in.
 *
 * The members and their order are the predecessor's (protocol specification,
 * 9.4). The last four are ours, and readers of the old format skip what they do not
 * know: with `expires_at` and `shift_ms` the log alone tells which leases are
 * active, and `seq` and `prev` chain the entries (`AuditChain`).
 * An entry never holds a value.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { GoDuration } from "./GoDuration.ts"
import { formatGoDuration, millisecond } from "./GoDuration.ts"
import { stringify } from "./goText.ts"
import type { Lease } from "./Lease.ts"
import type { Timestamp } from "./Timestamp.ts"
import type { TtlTooLong } from "./Ttl.ts"

/** An entry as it stands in the log. Actions written by others are kept as they are. */
export const AuditEntry = Schema.Struct({
  timestamp: Schema.String,
  action: Schema.String,
  secret_name: Schema.optionalKey(Schema.String),
  client_id: Schema.optionalKey(Schema.String),
  lease_id: Schema.optionalKey(Schema.String),
  details: Schema.optionalKey(Schema.String),
  success: Schema.Boolean,
  expires_at: Schema.optionalKey(Schema.String),
  shift_ms: Schema.optionalKey(Schema.Int),
  seq: Schema.optionalKey(Schema.Int),
  prev: Schema.optionalKey(Schema.String)
})
export type AuditEntry = typeof AuditEntry.Type

/** An entry that has happened but has no time and no place yet: the log gives it those when it writes it. */
export type AuditFact = Omit<AuditEntry, "timestamp" | "seq" | "prev">

/** The line for a fact at a moment, and at its place in the chain, with its line feed. */
export const encodeEntry = (
  fact: AuditFact,
  at: Timestamp,
  place?: Required<Pick<AuditEntry, "seq" | "prev">>
): string =>
  `${stringify({
    timestamp: at.text,
    action: fact.action,
    secret_name: nonEmpty(fact.secret_name),
    client_id: nonEmpty(fact.client_id),
    lease_id: nonEmpty(fact.lease_id),
    details: nonEmpty(fact.details),
    success: fact.success,
    expires_at: fact.expires_at,
    shift_ms: fact.shift_ms,
    seq: place?.seq,
    prev: place?.prev
  })}\n`

/** Reads one line; none if it is not an entry. */
export const decodeEntry = (line: string): Option.Option<AuditEntry> => decode(line)

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(AuditEntry))
const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text)

const ofLease = (lease: Lease) => ({
  secret_name: lease.secretName,
  client_id: lease.clientId,
  lease_id: lease.id
})

export const acquireFact = (lease: Lease, ttl: GoDuration): AuditFact => ({
  action: "lease_acquire",
  ...ofLease(lease),
  details: `TTL: ${formatGoDuration(ttl)}`,
  success: true,
  expires_at: lease.expiresAt.text
})

export const replaceFact = (old: Lease, next: Lease, ttl: GoDuration): AuditFact => ({
  action: "lease_replace",
  ...ofLease(old),
  details: `replaced by ${next.id}, TTL: ${formatGoDuration(ttl)}`,
  success: true
})

export const acquireRefusedFact = (secretName: string, clientId: string, reason: string): AuditFact => ({
  action: "lease_acquire",
  secret_name: secretName,
  client_id: clientId,
  details: reason,
  success: false
})

export const ttlTooLongDetails = ({ maximum, requested }: TtlTooLong): string =>
  `TTL ${requested} exceeds max ${maximum}`

export const revokeFact = (lease: Lease): AuditFact => ({
  action: "lease_revoke",
  ...ofLease(lease),
  success: true
})

export const revokeRefusedFact = (leaseId: string): AuditFact => ({
  action: "lease_revoke",
  lease_id: leaseId,
  details: "lease not found",
  success: false
})

export const expireFact = (lease: Lease): AuditFact => ({
  action: "lease_expire",
  ...ofLease(lease),
  success: true
})

/** Ends all leases of one secret; written also when there were none. */
export const revokeSecretFact = (secretName: string, count: number): AuditFact => ({
  action: "lease_revoke",
  secret_name: secretName,
  details: `revoked ${count} leases`,
  success: true
})

/** Ends all leases there are. */
export const revokeAllFacts = (count: number): readonly [AuditFact, AuditFact] => [
  { action: "killswitch", details: `revoked ${count} leases`, success: true },
  { action: "killswitch", details: "all leases revoked", success: true }
]

export const addFact = (name: string): AuditFact => ({ action: "secret_add", secret_name: name, success: true })

export const deleteFact = (name: string): AuditFact => ({
  action: "secret_delete",
  secret_name: name,
  success: true
})

export const updateFact = (name: string): AuditFact => ({
  action: "secret_update",
  secret_name: name,
  success: true
})

/** `outcome` says how the command ended and how much it printed, never what. */
export const rotateFact = (name: string, outcome: string): AuditFact => ({
  action: "secret_rotate",
  secret_name: name,
  details: outcome,
  success: true
})

export const rotateRefusedFact = (name: string, outcome: string): AuditFact => ({
  ...rotateFact(name, outcome),
  success: false
})

/** Every secret is gone, and the backup with it. */
export const wipeFact = (count: number): AuditFact => ({
  action: "store_wipe",
  details: `wiped ${count} secrets`,
  success: true
})

export const heartbeatFact = (reason: string): AuditFact => ({
  action: "heartbeat_fail",
  details: reason,
  success: false
})

/** The killswitch could not do all it was to do. */
export const killswitchFailedFact = (details: string): AuditFact => ({ action: "killswitch", details, success: false })

export const restartFact: AuditFact = {
  action: "daemon_restart",
  details: "graceful restart requested over RPC",
  success: true
}

/** Something that was asked for and not done. `reason` holds no value. */
export const refusedFact = (asked: AuditFact, reason: string): AuditFact => ({
  ...asked,
  details: reason,
  success: false
})

/** A change of the store that was announced and then could not be written. */
export const changeFailedFact = (announced: AuditFact): AuditFact =>
  refusedFact(announced, "the store could not be written; nothing was changed")

/** A value was asked for without a lease; that is never given. */
export const getFact = (name: string): AuditFact => ({ action: "secret_get", secret_name: name, success: true })

/** Marks of the values were given out, to search files for these; the values were not. */
export const scanFact = (clientId: string, values: number, tooShort: number): AuditFact => ({
  action: "scan_begin",
  client_id: clientId,
  details: `marks of ${values} values were given, ${tooShort} are too short to be searched for`,
  success: true
})

/** A client showed a text and was told that it is a form of this secret's value. */
export const identifyFact = (name: string, clientId: string): AuditFact => ({
  action: "scan_match",
  secret_name: name,
  client_id: clientId,
  details: "its value stands in a file that was scanned",
  success: true
})

/** A request that came to no method, or with parameters that cannot be used. `reason` quotes none of them. */
export const requestRefusedFact = (method: string, reason: string): AuditFact => ({
  action: "request_refused",
  details: `${method}: ${reason}`,
  success: false
})

/** The key and an empty store were made, or were asked for where a store is. */
export const initFact = (details: string): AuditFact => ({ action: "store_init", details, success: true })

/** Events that never arrived where they were sent, since the last such entry. */
export const sinkDroppedFact = (count: number): AuditFact => ({
  action: "sink_dropped",
  details: count === 1 ? "an event was lost" : `${count} events were lost`,
  success: false
})

export const startFact = (socketPath: string): AuditFact => ({
  action: "daemon_start",
  details: `listening on ${socketPath}`,
  success: true
})

export const stopFact: AuditFact = { action: "daemon_stop", details: "daemon stopped gracefully", success: true }

/** The last daemon of this directory did not stop in order; `details` says what is known of it. */
export const crashRecoveredFact = (details: string): AuditFact => ({
  action: "daemon_crash_recovered",
  details,
  success: true
})

/** Starts after runs that did not end in order, too many of them within a short time. */
export const crashLoopFact = (details: string): AuditFact => ({ action: "crash_loop", details, success: false })

/** The log or the lease file was not as it should be, and what was done about it. */
export const fileRepairedFact = (details: string): AuditFact => ({ action: "file_mended", details, success: true })

/** Entries of the log itself were changed or taken away, by somebody else. */
export const auditDamagedFact = (details: string): AuditFact => ({ action: "audit_damaged", details, success: false })

/** The wall clock was set, or the machine slept. Where it was set back, the leases' ends were moved by as much. */
export const clockStepFact = (millis: number, leases: number): AuditFact => {
  const by = formatGoDuration(BigInt(Math.abs(millis)) * millisecond)
  return millis < 0
    ? {
        action: "clock_step",
        details: `the clock was set back by ${by}; ${leases} leases end that much earlier by it`,
        success: true,
        shift_ms: millis
      }
    : { action: "clock_step", details: `the clock went forward by ${by}, or the machine slept`, success: true }
}

/**
 * leases.json was last written by another program: its leases are the ones there are, whatever the log said before. They
 * count when the last of these entries is there.
 */
export const adoptFacts = (leases: ReadonlyArray<Lease>): ReadonlyArray<AuditFact> => {
  const details = `leases.json was written by another program; its ${leases.length} leases are the ones there are`
  return [
    { action: "leases_adopt", details, success: true },
    ...leases.map((lease) => ({
      action: "lease_adopt",
      ...ofLease(lease),
      success: true,
      expires_at: lease.expiresAt.text
    })),
    { action: "leases_adopted", details, success: true }
  ]
}

/** What is written at a start before anything else, or as part of an adoption: it does not tell that we were the last to run. */
export const isStartEntry = ({ action }: AuditEntry): boolean =>
  ["file_mended", "audit_damaged", "store_init", "clock_step", "crash_loop"].includes(action)
export const isAdoptionEntry = ({ action }: AuditEntry): boolean => ["leases_adopt", "lease_adopt"].includes(action)
