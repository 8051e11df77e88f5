/**
 * An entry of audit.log, as it is stored. It never holds a value. `leaseFacts`, `storeFacts` and
 * `daemonFacts` have one constructor for each kind.
 *
 * The members and their order are the predecessor's (protocol specification, 9.4), followed
 * by thirteen of ours. `created_at`, of an adopted lease, `expires_at` and `shift_ms` make the log sufficient to restore the leases;
 * `store` names the store by the hash of its encrypted file, which tells nothing of a value;
 * `exposure` names exposure.json in the same way;
 * `socket` is the one that the request came through, if the daemon has more than its owner's;
 * `via`, `program`, `session` and `reason` are what a client said about a lease, if it did;
 * `run_id` names the run that an entry is about, that a lease was for, or with which it ended;
 * `seq` and `prev` chain the entries (`AuditChain`).
 */
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Timestamp } from "./Timestamp.ts"
import { stringify } from "./goText.ts"

/** An entry as it is stored. Actions of other programs are kept unchanged. */
export const AuditEntry = Schema.Struct({
  timestamp: Schema.String,
  action: Schema.String,
  secret_name: Schema.optionalKey(Schema.String),
  client_id: Schema.optionalKey(Schema.String),
  lease_id: Schema.optionalKey(Schema.String),
  details: Schema.optionalKey(Schema.String),
  success: Schema.Boolean,
  created_at: Schema.optionalKey(Schema.String),
  expires_at: Schema.optionalKey(Schema.String),
  shift_ms: Schema.optionalKey(Schema.Int),
  store: Schema.optionalKey(Schema.String),
  exposure: Schema.optionalKey(Schema.String),
  socket: Schema.optionalKey(Schema.String),
  via: Schema.optionalKey(Schema.String),
  program: Schema.optionalKey(Schema.String),
  session: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.String),
  run_id: Schema.optionalKey(Schema.String),
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
    created_at: fact.created_at,
    expires_at: fact.expires_at,
    shift_ms: fact.shift_ms,
    store: fact.store,
    exposure: fact.exposure,
    socket: fact.socket,
    via: fact.via,
    program: fact.program,
    session: fact.session,
    reason: fact.reason,
    run_id: fact.run_id,
    seq: place?.seq,
    prev: place?.prev
  })}\n`

/** Decodes a line; none if it is not an entry. */
export const decodeEntry: (line: string) => Option.Option<AuditEntry> = Schema.decodeUnknownOption(
  Schema.fromJsonString(AuditEntry)
)

const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text)

/** Returns whether an entry locks the store or opens it. A new store has a new key, so nothing in it was locked. */
export const isLockEntry = ({ action, success }: Pick<AuditEntry, "action" | "success">): boolean =>
  success && lockActions.has(action)

const lockActions: ReadonlySet<string> = new Set(["store_lock", "store_unlock", "store_init"])

/** Entries that a start writes first. They do not prove that this program was the last to change the leases. */
export const isStartEntry = ({ action }: AuditEntry): boolean =>
  ["file_mended", "audit_damaged", "audit_finding", "store_init", "clock_step", "crash_loop"].includes(action)

export const isAdoptionEntry = ({ action }: AuditEntry): boolean =>
  ["audit_adopt", "leases_adopt", "lease_adopt"].includes(action)
