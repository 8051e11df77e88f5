/**
 * An entry of audit.log, and one constructor for each kind. An entry never holds a value.
 *
 * The members and their order are the predecessor's (protocol specification, 9.4), followed
 * by twelve of ours. `expires_at` and `shift_ms` make the log sufficient to restore the leases;
 * `store` names the store by the hash of its encrypted file, which tells nothing of a value;
 * `exposure` names exposure.json in the same way;
 * `socket` is the one that the request came through, if the daemon has more than its owner's;
 * `via`, `program`, `session` and `reason` are what a client said about a lease, if it did;
 * `run_id` names the run that an entry is about, that a lease was for, or with which it ended;
 * `seq` and `prev` chain the entries (`AuditChain`).
 */
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as path from "node:path"
import type { AuditAction } from "./auditActions.ts"
import { counted } from "./counted.ts"
import { formatGoDuration, type GoDuration, millisecond } from "./GoDuration.ts"
import { stringify } from "./goText.ts"
import type { Lease, LeaseFilter, LeaseName, TtlTooLong } from "./Lease.ts"
import { type Answer, type OpenRequest, spanText, withWhy } from "./OpenRequest.ts"
import type { TrustDecision } from "./ProjectTrust.ts"
import type { Timestamp } from "./Timestamp.ts"

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

type Members = Omit<AuditFact, "action" | "success">
const done = (action: AuditAction, members?: Members): AuditFact => ({ action, ...members, success: true })
const failed = (action: AuditAction, members?: Members): AuditFact => ({ action, ...members, success: false })

/** Constructors of the facts that hold a lease, the name of a secret, or only details. */
const ofLease = ({ clientId, id, secretName }: LeaseName) => ({
  secret_name: secretName,
  client_id: clientId,
  lease_id: id
})
const leaseDone = (action: AuditAction) => (lease: LeaseName) => done(action, ofLease(lease))
const secretDone = (action: AuditAction) => (name: string) => done(action, { secret_name: name })
const doneWith = (action: AuditAction) => (details: string) => done(action, { details })
const failedWith = (action: AuditAction) => (details: string) => failed(action, { details })

/** What a client said about the use of a lease; only what it said is recorded, of `program` the last part. */
export type LeaseOrigin = Pick<AuditFact, "via" | "program" | "session" | "reason" | "run_id">

const ofOrigin = (origin: LeaseOrigin): LeaseOrigin =>
  origin.program === undefined ? origin : { ...origin, program: path.basename(origin.program) }

export const acquireFact = (lease: Lease, ttl: GoDuration, origin: LeaseOrigin = {}) =>
  done("lease_acquire", {
    ...ofLease(lease),
    ...ofOrigin(origin),
    details: `TTL: ${formatGoDuration(ttl)}`,
    expires_at: lease.expiresAt.text
  })
export const replaceFact = (old: Lease, next: Lease, ttl: GoDuration) =>
  done("lease_replace", { ...ofLease(old), details: `replaced by ${next.id}, TTL: ${formatGoDuration(ttl)}` })
export const acquireRefusedFact = (secretName: string, clientId: string, details: string, origin: LeaseOrigin = {}) =>
  failed("lease_acquire", { secret_name: secretName, client_id: clientId, ...ofOrigin(origin), details })
export const ttlTooLongDetails = ({ maximum, requested }: TtlTooLong): string =>
  `TTL ${requested} exceeds max ${maximum}`

export const expireFact = leaseDone("lease_expire")
export const revokeFact = leaseDone("lease_revoke")
/** Records that a lease ended with the run that it was for. */
export const releaseFact = (lease: LeaseName, runId: string) =>
  done("lease_revoke", { ...ofLease(lease), run_id: runId })
/** The details of a lease that its holder gave back before it was used. */
export const returnedMark = "returned"
/** Records that the holder of a lease gave it back: it concerns no program. */
export const returnFact = (lease: LeaseName) => done("lease_revoke", { ...ofLease(lease), details: returnedMark })
export const revokeRefusedFact = (leaseId: string, reason = leaseUnknown) =>
  failed("lease_revoke", { lease_id: leaseId, details: reason })
/** Records that the holder of a lease gave it back, and that it was over already. */
export const returnRefusedFact = (leaseId: string) => revokeRefusedFact(leaseId, `${returnedMark}: ${leaseUnknown}`)
const leaseUnknown = "lease not found"
/** Records that all leases of a secret ended, even if there were none. The predecessor's text has no singular. */
export const revokeSecretFact = (secretName: string, count: number) =>
  done("lease_revoke", { secret_name: secretName, details: `revoked ${count} leases` })
/** Records a request to end the leases of a client, a secret or both, before the entry of each that was active. */
export const revokeMatchingFact = ({ clientId, secretName }: LeaseFilter, count: number) =>
  done("leases_revoke", {
    ...(secretName === undefined ? {} : { secret_name: secretName }),
    ...(clientId === undefined ? {} : { client_id: clientId }),
    details: `revoked ${counted(count, "lease")}`
  })
/** Records that all leases ended. */
export const revokeAllFacts = (count: number) =>
  [
    done("killswitch", { details: `revoked ${count} leases` }),
    done("killswitch", { details: "all leases revoked" })
  ] as const
/** Records that the killswitch did not complete. */
export const killswitchFailedFact = failedWith("killswitch")

/** What the entries about a run hold of it. */
export interface RunFacts {
  readonly id: string
  readonly clientId: string
  /** The lease of each secret. */
  readonly leases: ReadonlyMap<string, string>
  readonly origin: LeaseOrigin
}

const ofRun = ({ clientId, id, origin }: RunFacts) => ({
  client_id: clientId,
  ...(origin.program === undefined ? {} : { program: path.basename(origin.program) }),
  run_id: id
})
/** Records that a program was given values; `after` is the entry after which an earlier daemon had its run. */
export const runBeginFact = (run: RunFacts, after?: number) => {
  const [only, ...others] = run.leases
  const details = [
    ...(after === undefined ? [] : [`taken up after entry ${after}`]),
    ...(others.length === 0 ? [] : [`${run.leases.size} leases: ${[...run.leases.values()].join(" ")}`])
  ].join("; ")
  const members = others.length === 0 && only !== undefined ? { secret_name: only[0], lease_id: only[1] } : {}
  return done("run_begin", { ...members, ...ofOrigin(run.origin), ...ofRun(run), details })
}
/** Returns the ids of the leases with which a run began. */
export const leaseIdsOf = ({ details = "", lease_id: only }: Pick<AuditEntry, "lease_id" | "details">) =>
  only === undefined ? (/ leases: ([-0-9a-f ]+)$/.exec(details)?.[1]?.split(" ") ?? []) : [only]
export const runRefusedFact = (clientId: string, details: string) =>
  failed("run_begin", { client_id: clientId, details })
/** Records that the starter of a program is notified. */
export const runToldFact = (run: RunFacts, kind: string, secretName: string | undefined) =>
  done("run_told", { ...(secretName === undefined ? {} : { secret_name: secretName }), ...ofRun(run), details: kind })
export const runEndFact = (run: RunFacts, details: string) => done("run_end", { ...ofRun(run), details })
/** How a run ends whose starter is gone. Its program may run on. */
export const connectionLost = "connection lost"

export const addFact = secretDone("secret_add")
export const deleteFact = secretDone("secret_delete")
/** Records a change of the value, or of the rotation command and the description alone. */
export const updateFact = (name: string, keepsValue = false) =>
  done(keepsValue ? "secret_edit" : "secret_update", { secret_name: name })
/** Records a value that was set and is the same as before. */
export const unchangedFact = (name: string) => done("secret_update", { secret_name: name, details: unchangedDetails })
const unchangedDetails = "unchanged"
/** Records a request for a value without a lease, which is always rejected. */
export const getFact = secretDone("secret_get")
/**
 * Records a rotation; `outcome` states how the command ended and how much it printed, never what it printed. `stored` tells
 * whether its output was stored, or was the value already.
 */
export const rotateFact = (name: string, outcome: string, stored: boolean | "unchanged" = false) =>
  done("secret_rotate", {
    secret_name: name,
    details: `${outcome}${stored === "unchanged" ? "; unchanged" : stored ? newValueMark : ""}`
  })
/** Ends the details of a rotation that gave the store a new value; without it, the value stayed. */
export const newValueMark = "; its output was stored"
/** Adds to a change that gives a secret a value that it is one which the secret had before. */
export const formerFact = (fact: AuditFact): AuditFact => {
  const { action, details = "" } = fact
  if (keepsValue(fact)) return fact
  if (action === "secret_add" || action === "secret_update") return { ...fact, details: formerValue }
  return action === "secret_rotate" && details.endsWith(newValueMark)
    ? { ...fact, details: `${details.slice(0, -newValueMark.length)}; ${formerValue}${newValueMark}` }
    : fact
}
/** Returns whether a change has set a value of before. */
export const isFormerValue = ({ details = "" }: Pick<AuditEntry, "details">): boolean =>
  details === formerValue || details.endsWith(`; ${formerValue}${newValueMark}`)
const formerValue = "a value of before"
/** Returns whether a change left the value as it was. The predecessor's entries hold what its command printed. */
export const keepsValue = ({ action, details = "" }: Pick<AuditEntry, "action" | "details">): boolean =>
  action === "secret_update"
    ? details === unchangedDetails
    : action === "secret_rotate" && /^exit status 0, \d+ bytes? of output(; unchanged)?$/.test(details)
export const rotateRefusedFact = (name: string, outcome: string) => refusedFact(rotateFact(name, outcome), outcome)
/** Records that exposure.json is written next. */
export const exposureSaveFact = (rows: number) => done("exposure_save", { details: counted(rows, "row") })
/** Names the exposure.json that is written next, by its SHA-256; undefined adds nothing. */
export const withExposure = (fact: AuditFact, exposure: string | undefined): AuditFact =>
  exposure === undefined ? fact : { ...fact, exposure }

/** Adds the SHA-256 of secrets.age as it is after the recorded change; undefined adds nothing. */
export const withStore = (fact: AuditFact, store: string | undefined): AuditFact =>
  store === undefined ? fact : { ...fact, store }

/** Records that `init` created a key and an empty store, or was rejected because there is a store. */
export const initFact = doneWith("store_init")
/** Records that every secret and the backup were removed. */
export const wipeFact = (count: number) => done("store_wipe", { details: `wiped ${counted(count, "secret")}` })

/** Records that the owner got the text of the store, with all values. */
export const backupFact = (count: number) => done("store_backup", { details: counted(count, "secret") })
/** Records that secrets were taken from a backup, each with an entry before this one, or compared with it in a dry run. */
export const restoreFact = (
  { added, newer, updated }: Readonly<Record<"added" | "newer" | "updated", number>>,
  isDry: boolean
) =>
  done("store_restore", { details: `${isDry ? "dry run, " : ""}added: ${added}, updated: ${updated}, newer: ${newer}` })

/** Records that no lease and no change is possible from here on. */
export const lockFact = done("store_lock")
export const unlockFact = done("store_unlock")

/** Returns whether an entry locks the store or opens it. A new store has a new key, so nothing in it was locked. */
export const isLockEntry = ({ action, success }: Pick<AuditEntry, "action" | "success">): boolean =>
  success && lockActions.has(action)
const lockActions: ReadonlySet<string> = new Set(["store_lock", "store_unlock", "store_init"])

/** Records that a request was rejected. `reason` holds no value. */
export const refusedFact = (requested: AuditFact, reason: string): AuditFact => ({
  ...requested,
  details: reason,
  success: false
})
/** Records that a change, which the log already has, was not written to the store. */
export const changeFailedFact = (announced: AuditFact) => refusedFact(announced, notWritten)
const notWritten = "the store could not be written; nothing was changed"
/** Returns whether an entry takes back the one before it of the same action and secret. */
export const isChangeFailed = ({ details, success }: Pick<AuditEntry, "details" | "success">): boolean =>
  !success && details === notWritten
/** Records a change that the log does not have yet, and that could not be made. */
export const changeUnpreparedFact = (requested: AuditFact) =>
  refusedFact(requested, "the store could not be encrypted; nothing was changed")
/** Records a change that was rejected because the files of the store are not those of the daemon. */
export const changeRefusedFact = (requested: AuditFact) =>
  refusedFact(requested, "another program has changed or replaced the store; nothing was changed")
/** Records that a wiped store has a backup or an old key left, which no file of the store needs any more. */
export const wipeFailedFact = (announced: AuditFact) =>
  refusedFact(announced, "the secrets are wiped, but an old key or backup could not be removed")
/** Records that another program changed or replaced a file of the store, so that changes are rejected. */
export const storeReplacedFact = failedWith("store_replaced")
/** Records a request with an unknown method or invalid parameters. `reason` quotes no parameter. */
export const requestRefusedFact = (method: string, reason: string, secretName = "") =>
  failed("request_refused", { secret_name: secretName, details: `${method}: ${reason}` })

/** Records that a target rejected the value of this secret: the client id names the target. */
export const credentialRejectedFact = (secretName: string, clientId: string, origin: LeaseOrigin) =>
  failed("credential_rejected", { secret_name: secretName, client_id: clientId, ...ofOrigin(origin) })

/** Records that fingerprints of the values, not the values, were returned for a scan. */
export const scanFact = (clientId: string, values: number, tooShort: number) =>
  done("scan_begin", {
    client_id: clientId,
    details: `fingerprints of ${counted(values, "value")} were returned, ${counted(tooShort, "value", "is")} too short to search for`
  })
/** Records that a client sent a text which matches the value of this secret. */
export const identifyFact = (name: string, clientId: string) =>
  done("scan_match", { secret_name: name, client_id: clientId, details: "its value was found in a scanned file" })

/** Records that a client sent more texts that match no value than a day allows. */
export const guessRefusedFact = (clientId: string, reason: string) =>
  failed("scan_match", { client_id: clientId, details: reason })

/** Records what a user decided about a project file. `refuse` is also the answer without a terminal to ask on. */
export const trustFact = (decision: TrustDecision, path: string, hash: string, clientId: string): AuditFact => ({
  action: `project_${decision}` satisfies AuditAction,
  client_id: clientId,
  details: `sha256:${hash} ${path}`,
  success: decision !== "refuse"
})

/** Records that a client waits for a person. */
export const requestOpenFact = (request: OpenRequest) =>
  done("request_open", { ...ofRequest(request), details: `${request.id}: ${waitsFor[request.kind]}` })
const waitsFor = { approval: "a lease waits for an approval", missing: "a secret is missing" } as const
const ofRequest = ({ clientId, program, reason, secretName, session, via }: OpenRequest): Members => ({
  secret_name: secretName,
  client_id: clientId,
  ...ofOrigin({
    ...(via !== undefined && { via }),
    ...(program !== undefined && { program }),
    ...(session !== undefined && { session }),
    ...(reason !== undefined && { reason })
  })
})

/** Records what a person answered; `by` is what asked one, if it was not a command. */
export const requestAnswerFact = (request: OpenRequest, answer: Answer, by: string): AuditFact => {
  const text = answer._tag === "Approve" ? `approved ${spanText(answer.span)}` : withWhy("denied", answer.why)
  const details = `${request.id}: ${text}${by === "" ? "" : ` (${by})`}`
  return { ...done("request_answer", { ...ofRequest(request), details }), success: answer._tag === "Approve" }
}

/** Records that a request ended without an answer. */
export const requestEndFact = (request: OpenRequest, how: "stored" | "nobody answered" | "taken back"): AuditFact => ({
  ...done("request_answer", { ...ofRequest(request), details: `${request.id}: ${how}` }),
  success: how === "stored"
})

/** Records that approvals of a client group for a secret were taken back. */
export const approvalRevokedFact = (secretName: string, client: string) =>
  done("approval_revoke", { secret_name: secretName, client_id: client })

/** Records the policy that applies from here on, by its hash; none permits everything. */
export const policyFact = (rules: number | undefined, hash: string) =>
  done("policy_load", { details: rules === undefined ? "there is no policy" : `rules: ${rules}, sha256:${hash}` })

export const startFact = (socketPath: string) => done("daemon_start", { details: `listening on ${socketPath}` })
export const stopFact = done("daemon_stop", { details: "daemon stopped gracefully" })
export const restartFact = done("daemon_restart", { details: "graceful restart requested over RPC" })
export const heartbeatFact = failedWith("heartbeat_fail")
/** Records that the last daemon of this directory did not shut down cleanly. */
export const crashRecoveredFact = doneWith("daemon_crash_recovered")
/** Records that the daemon restarts too often after unclean exits. */
export const crashLoopFact = failedWith("crash_loop")
/** Records that the audit log or the lease file was damaged and how it was repaired. */
export const fileRepairedFact = doneWith("file_mended")
/** Records that entries of the log were changed or removed by another program. */
export const auditDamagedFact = failedWith("audit_damaged")
/** Records what a start found and the chain cannot show, such as a missing audit.head.json. */
export const auditFindingFact = failedWith("audit_finding")
/** Records that lines of the predecessor, which have no place in the chain, became part of the log. */
export const auditAdoptFact = doneWith("audit_adopt")
/** Records that a person accepted findings; `ids` are the hashes of their texts. */
export const auditAcceptFact = (ids: ReadonlyArray<string>) =>
  done("audit_accept", {
    details: `${counted(ids.length, "finding", "is")} accepted: ${ids.join(" ")}`
  })
export const teamJoinFact = doneWith("team_join")
export const teamLeaveFact = doneWith("team_leave")
/** Record what this machine has signed about the machines of its team. */
export const machineAddFact = doneWith("machine_add")
export const machineRemoveFact = doneWith("machine_remove")
export const teamGroupFact = doneWith("team_group")
/** Records that a team's database had lost entries of this machine, which are there again. */
export const auditRestoredFact = (there: number, here: number) =>
  done("audit_restored", { details: `the team's database ended at ${there}, and has the entries up to ${here} again` })
/** Records which entries of the other machines this one has seen. */
export const auditAnchorFact = doneWith("audit_anchor")
/** Records that a secret of a team is not used, because it is not what a machine of the team has written. */
export const valueRefusedFact = (secretName: string, reason: string) =>
  failed("value_refused", { secret_name: secretName, details: reason })
/** Records how many events were lost since the last such entry. */
export const sinkDroppedFact = (count: number) =>
  failed("sink_dropped", { details: `${counted(count, "event", "was")} lost` })

/** Records that the wall clock was set or the machine slept. Setting it back moves the expiry of the leases by as much. */
export const clockStepFact = (millis: number, leases: number) => {
  const by = formatGoDuration(BigInt(Math.abs(millis)) * millisecond)
  if (millis >= 0) return done("clock_step", { details: `the clock went forward by ${by}, or the machine slept` })
  const details = `the clock was set back by ${by}; the expiry of ${counted(leases, "lease")} was moved back by as much`
  return done("clock_step", { details, shift_ms: millis })
}

/**
 * Records that the leases in leases.json, which another program wrote last, replace those of the log. They take effect
 * with the last of these entries.
 */
export const adoptFacts = (leases: ReadonlyArray<Lease>): ReadonlyArray<AuditFact> => {
  const details = `leases.json was written by another program; its leases, ${leases.length} in all, replace those of the log`
  return [
    done("leases_adopt", { details }),
    ...leases.map((lease) => done("lease_adopt", { ...ofLease(lease), expires_at: lease.expiresAt.text })),
    done("leases_adopted", { details })
  ]
}

/** Entries that a start writes first. They do not prove that this program was the last to change the leases. */
export const isStartEntry = ({ action }: AuditEntry): boolean =>
  ["file_mended", "audit_damaged", "audit_finding", "store_init", "clock_step", "crash_loop"].includes(action)
export const isAdoptionEntry = ({ action }: AuditEntry): boolean =>
  ["audit_adopt", "leases_adopt", "lease_adopt"].includes(action)
