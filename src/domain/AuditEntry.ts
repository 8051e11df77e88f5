/**
 * An entry of audit.log, and one constructor for each kind of entry.
 *
 * The members and their order are the predecessor's (protocol specification, 9.4); the
 * last four are additions. `expires_at` and `shift_ms` make the log sufficient to
 * restore the leases; `seq` and `prev` chain the entries (`AuditChain`).
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

/** An entry as it is stored. Actions of other programs are kept unchanged. */
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

/** An entry before it is written; the log adds the time and the place in the chain. */
export type AuditFact = Omit<AuditEntry, "timestamp" | "seq" | "prev">

/** Encodes a fact as a line, including the line feed. */
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

/** Decodes a line; none if it is not an entry. */
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

/** Records that all leases of a secret ended, even if there were none. */
export const revokeSecretFact = (secretName: string, count: number): AuditFact => ({
  action: "lease_revoke",
  secret_name: secretName,
  details: `revoked ${count} leases`,
  success: true
})

/** Records that all leases ended. */
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

/** `outcome` states how the command ended and how much it printed, never what it printed. */
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

/** Records that every secret and the backup were removed. */
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

/** Records that the killswitch did not complete. */
export const killswitchFailedFact = (details: string): AuditFact => ({ action: "killswitch", details, success: false })

export const restartFact: AuditFact = {
  action: "daemon_restart",
  details: "graceful restart requested over RPC",
  success: true
}

/** Records that a request was refused. `reason` holds no value. */
export const refusedFact = (requested: AuditFact, reason: string): AuditFact => ({
  ...requested,
  details: reason,
  success: false
})

/** Records that a change, which the log already has, was not written to the store. */
export const changeFailedFact = (announced: AuditFact): AuditFact =>
  refusedFact(announced, "the store could not be written; nothing was changed")

/** Records a request for a value without a lease, which is always refused. */
export const getFact = (name: string): AuditFact => ({ action: "secret_get", secret_name: name, success: true })

/** Records that fingerprints of the values, not the values, were returned for a scan. */
export const scanFact = (clientId: string, values: number, tooShort: number): AuditFact => ({
  action: "scan_begin",
  client_id: clientId,
  details: `fingerprints of ${values} values were returned, ${tooShort} values are too short to search for`,
  success: true
})

/** Records that a client sent a text which matches the value of this secret. */
export const identifyFact = (name: string, clientId: string): AuditFact => ({
  action: "scan_match",
  secret_name: name,
  client_id: clientId,
  details: "its value was found in a scanned file",
  success: true
})

/** Records a request with an unknown method or invalid parameters. `reason` quotes no parameter. */
export const requestRefusedFact = (method: string, reason: string): AuditFact => ({
  action: "request_refused",
  details: `${method}: ${reason}`,
  success: false
})

/** Records that `init` created a key and an empty store, or was refused because there is a store. */
export const initFact = (details: string): AuditFact => ({ action: "store_init", details, success: true })

/** Records how many events were lost since the last such entry. */
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

/** Records that the last daemon of this directory did not shut down cleanly. */
export const crashRecoveredFact = (details: string): AuditFact => ({
  action: "daemon_crash_recovered",
  details,
  success: true
})

/** Records that the daemon restarts too often after unclean exits. */
export const crashLoopFact = (details: string): AuditFact => ({ action: "crash_loop", details, success: false })

/** Records that the audit log or the lease file was damaged and how it was repaired. */
export const fileRepairedFact = (details: string): AuditFact => ({ action: "file_mended", details, success: true })

/** Records that entries of the log were changed or removed by another program. */
export const auditDamagedFact = (details: string): AuditFact => ({ action: "audit_damaged", details, success: false })

/** Records that the wall clock was set or the machine slept. Setting it back moves the expiry of the leases by as much. */
export const clockStepFact = (millis: number, leases: number): AuditFact => {
  const by = formatGoDuration(BigInt(Math.abs(millis)) * millisecond)
  return millis < 0
    ? {
        action: "clock_step",
        details: `the clock was set back by ${by}; the expiry of ${leases} leases was moved back by as much`,
        success: true,
        shift_ms: millis
      }
    : { action: "clock_step", details: `the clock went forward by ${by}, or the machine slept`, success: true }
}

/**
 * Records that the leases in leases.json, which another program wrote last, replace those of the log. They take effect
 * with the last of these entries.
 */
export const adoptFacts = (leases: ReadonlyArray<Lease>): ReadonlyArray<AuditFact> => {
  const details = `leases.json was written by another program; its ${leases.length} leases replace those of the log`
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

/** Entries that a start writes first. They do not prove that this program was the last to change the leases. */
export const isStartEntry = ({ action }: AuditEntry): boolean =>
  ["file_mended", "audit_damaged", "store_init", "clock_step", "crash_loop"].includes(action)
export const isAdoptionEntry = ({ action }: AuditEntry): boolean => ["leases_adopt", "lease_adopt"].includes(action)
