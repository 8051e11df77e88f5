/**
 * A run: one program that was given values, from its start to its end, also after its
 * leases ended. Its starter is notified of what ends them or changes the values.
 *
 * All of that is in the audit log. `noticeIn` reads it from one entry, so that a daemon finds
 * the same in what it writes and, after a restart, in what was written before.
 */
import * as Schema from "effect/Schema"
import type { AuditEntry } from "./AuditEntry.ts"
import { returnedMark } from "./leaseFacts.ts"
import { keepsValue, newValueMark } from "./storeFacts.ts"
import type { AuditAction } from "./auditActions.ts"

/** Why a run is notified. A lease that was replaced is no reason. */
export const noticeKinds = ["revoked", "killswitch", "deleted", "changed", "expired", "locked"] as const
export type NoticeKind = (typeof noticeKinds)[number]

/** What runs are notified of: those of this client that were given this secret; where one is not named, all of them. */
export interface Notice {
  readonly kind: NoticeKind
  readonly secretName?: string | undefined
  readonly clientId?: string | undefined
  readonly leaseId?: string | undefined
}

/** A notice at its place in the audit log. */
export interface PlacedNotice extends Notice {
  readonly seq: number
  /** RFC 3339. */
  readonly at: string
}

/** No such program runs, or its connection is gone for too long. */
export class RunNotFound extends Schema.TaggedError<RunNotFound>()("RunNotFound", { runId: Schema.String }) {
  override get message() {
    return "run not found"
  }
}

/** The limit of runs is reached. */
export class TooManyRuns extends Schema.TaggedError<TooManyRuns>()("TooManyRuns", {}) {
  override get message() {
    return "there are too many runs; no program is registered until some have ended"
  }
}

const kinds: ReadonlyMap<string, NoticeKind> = new Map<AuditAction, NoticeKind>([
  ["lease_revoke", "revoked"],
  ["leases_revoke", "revoked"],
  ["lease_expire", "expired"],
  ["killswitch", "killswitch"],
  ["store_lock", "locked"],
  ["secret_delete", "deleted"],
  ["store_wipe", "deleted"],
  ["secret_update", "changed"],
  ["secret_rotate", "changed"]
])
/** The actions of entries that may hold a notice. */
export const noticeActions: ReadonlyArray<string> = [...kinds.keys(), "team_notice"]

/** The actions of entries of other machines that concern programs here. A lock is of one machine alone. */
export const sharedActions: ReadonlyArray<string> = [...kinds.keys()].filter((action) => action !== "store_lock")

/** Changes of the store, which are recorded before it is written. */
const changes: ReadonlySet<string> = new Set<AuditAction>([
  "secret_add",
  "secret_update",
  "secret_edit",
  "secret_delete",
  "secret_rotate",
  "store_restore",
  "store_wipe"
])
/** Those of `kinds` that name no secret. */
const aboutAll: ReadonlySet<string> = new Set<AuditAction>(["killswitch", "store_lock", "store_wipe"])

type NoticeEntry = Pick<
  AuditEntry,
  "action" | "success" | "secret_name" | "client_id" | "lease_id" | "run_id" | "details" | "store"
>

/** Returns what runs are notified of by an entry. A lease that ended with its own run, or was given back, concerns no other. */
export const noticeIn = (entry: NoticeEntry): Notice | undefined => {
  const { action, client_id: clientId, lease_id: leaseId, secret_name: secretName } = entry
  if (action === "team_notice") {
    const known = noticeKinds.find((one) => entry.details?.startsWith(`${one} on `))
    return known && { kind: known, secretName, clientId, leaseId }
  }
  const kind = kinds.get(action)
  if (kind === undefined || !entry.success || entry.run_id !== undefined) return undefined
  if (aboutAll.has(action)) return { kind }
  if (secretName === undefined && (action !== "leases_revoke" || clientId === undefined)) return undefined
  if (keepsValue(entry) || (action === "lease_revoke" && entry.details === returnedMark)) return undefined
  if (action === "secret_rotate" && entry.details?.endsWith(newValueMark) !== true) return undefined
  // All leases of a secret end without a lease id each, when it is deleted.
  if (action === "lease_revoke" && leaseId === undefined) return { kind: "deleted", secretName }
  return { kind, secretName, clientId, leaseId }
}

/**
 * Follows the audit log, and returns the notices of each entry once they are true: the entry about a change of the store comes
 * before the change. Of the entries of one change, the last one names the store as it will be.
 */
export class NoticeReader {
  private held: Array<Notice & { readonly at: string }> = []
  private heldSince: number | undefined
  /** What the change that is held makes of the store. */
  private store: string | undefined
  /** The number of the last entry. */
  private last: number

  constructor(last = 0) {
    this.last = last
  }

  /** The number of the entry up to which every notice was returned. */
  get settled(): number {
    return this.heldSince === undefined ? this.last : this.heldSince - 1
  }

  /** Takes the next entry. */
  next(entry: NoticeEntry, seq: number, at: string): ReadonlyArray<PlacedNotice> {
    this.last = seq
    const isChange = entry.success && changes.has(entry.action)
    const earlier =
      this.heldSince === undefined || entry.store === undefined ? none : this.settle(entry.store, isChange)
    const notice = noticeIn(entry)
    if (isChange && (notice !== undefined || entry.store !== undefined)) {
      if (notice !== undefined) this.held.push({ ...notice, at })
      this.heldSince ??= seq
      this.store = entry.store
      return earlier
    }
    return notice === undefined ? earlier : [...earlier, { ...notice, seq, at }]
  }

  /** Takes the hash of the store after a change was written, or could not be. */
  stored(hash: string | undefined): ReadonlyArray<PlacedNotice> {
    return this.release(hash === this.store)
  }

  /** Returns what is held at the end of a log. */
  rest(): ReadonlyArray<PlacedNotice> {
    return this.release(true)
  }

  /** Uses that an entry names the store: as it is, or as the next change makes it, so that this one was written. */
  private settle(store: string, isChange: boolean): ReadonlyArray<PlacedNotice> {
    if (isChange) return this.store === undefined ? none : this.release(true)
    return this.release(this.store === undefined || store === this.store)
  }

  private release(isWritten: boolean): ReadonlyArray<PlacedNotice> {
    const { held, last: seq } = this
    this.heldSince = undefined
    this.store = undefined
    if (held.length === 0) return none
    this.held = []
    return isWritten ? held.map((notice) => ({ ...notice, seq })) : none
  }
}

const none: ReadonlyArray<PlacedNotice> = []
