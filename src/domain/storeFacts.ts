/**
 * The audit entries about secrets and their store, scans and projects. One constructor for each kind.
 */
import type { AuditEntry, AuditFact } from "./AuditEntry.ts"
import type { TrustDecision } from "./ProjectTrust.ts"
import type { AuditAction } from "./auditActions.ts"
import { counted } from "./counted.ts"
import {
  doneFact,
  doneWith,
  failedFact,
  failedWith,
  type LeaseOrigin,
  ofOrigin,
  refusedFact,
  secretDone
} from "./factMakers.ts"

export const addFact = secretDone("secret_add")
export const deleteFact = secretDone("secret_delete")

/** Records a change of the value, or of the rotation command and the description alone. */
export const updateFact = (name: string, keepsValue = false) =>
  doneFact(keepsValue ? "secret_edit" : "secret_update", { secret_name: name })

/** Records a value that was set and is the same as before. */
export const unchangedFact = (name: string) =>
  doneFact("secret_update", { secret_name: name, details: unchangedDetails })

const unchangedDetails = "unchanged"

/** Records a request for a value without a lease, which is always rejected. */
export const getFact = secretDone("secret_get")

/**
 * Records a rotation; `outcome` states how the command ended and how much it printed, never what it printed. `stored` tells
 * whether its output was stored, or was the value already.
 */
export const rotateFact = (name: string, outcome: string, stored: boolean | "unchanged" = false) =>
  doneFact("secret_rotate", {
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
export const exposureSaveFact = (rows: number) => doneFact("exposure_save", { details: counted(rows, "row") })

/** Names the exposure.json that is written next, by its SHA-256; undefined adds nothing. */
export const withExposure = (fact: AuditFact, exposure: string | undefined): AuditFact =>
  exposure === undefined ? fact : { ...fact, exposure }

/** Adds the SHA-256 of secrets.age as it is after the recorded change; undefined adds nothing. */
export const withStore = (fact: AuditFact, store: string | undefined): AuditFact =>
  store === undefined ? fact : { ...fact, store }

/** Records that `init` created a key and an empty store, or was rejected because there is a store. */
export const initFact = doneWith("store_init")

/** Records that every secret and the backup were removed. */
export const wipeFact = (count: number) => doneFact("store_wipe", { details: `wiped ${counted(count, "secret")}` })

/** Records that the owner got the text of the store, with all values. */
export const backupFact = (count: number) => doneFact("store_backup", { details: counted(count, "secret") })

/** Records that secrets were taken from a backup, each with an entry before this one, or compared with it in a dry run. */
export const restoreFact = (
  { added, newer, updated }: Readonly<Record<"added" | "newer" | "updated", number>>,
  isDry: boolean
) =>
  doneFact("store_restore", {
    details: `${isDry ? "dry run, " : ""}added: ${added}, updated: ${updated}, newer: ${newer}`
  })

/** Records that no lease and no change is possible from here on. */
export const lockFact = doneFact("store_lock")

export const unlockFact = doneFact("store_unlock")

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

/** Records that a target rejected the value of this secret: the client id names the target. */
export const credentialRejectedFact = (secretName: string, clientId: string, origin: LeaseOrigin) =>
  failedFact("credential_rejected", { secret_name: secretName, client_id: clientId, ...ofOrigin(origin) })

/** Records that fingerprints of the values, not the values, were returned for a scan. */
export const scanFact = (clientId: string, values: number, tooShort: number) =>
  doneFact("scan_begin", {
    client_id: clientId,
    details: `fingerprints of ${counted(values, "value")} were returned, ${counted(tooShort, "value", "is")} too short to search for`
  })

/** Records that a client sent a text which matches the value of this secret. */
export const identifyFact = (name: string, clientId: string) =>
  doneFact("scan_match", { secret_name: name, client_id: clientId, details: "its value was found in a scanned file" })

/** Records that a client sent more texts that match no value than a day allows. */
export const guessRefusedFact = (clientId: string, reason: string) =>
  failedFact("scan_match", { client_id: clientId, details: reason })

/** Records what a user decided about a project file. `refuse` is also the answer without a terminal to ask on. */
export const trustFact = (decision: TrustDecision, path: string, hash: string, clientId: string): AuditFact => ({
  action: `project_${decision}` satisfies AuditAction,
  client_id: clientId,
  details: `sha256:${hash} ${path}`,
  success: decision !== "refuse"
})
