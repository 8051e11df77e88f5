/**
 * What happened in the audit log since an entry, for runs that are taken up after a restart.
 *
 * Many are taken up at once, so what was read is kept for a minute, with what is written
 * meanwhile. The log may not reach back so far: then the answer says so.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import { type AuditEntry, decodeEntry } from "../../domain/AuditEntry.ts"
import { noticeActions, NoticeReader, type PlacedNotice } from "../../domain/Run.ts"
import type { AuditLog } from "../audit/AuditLog.ts"

export interface MissedNotices {
  /** Oldest first. */
  readonly notices: ReadonlyArray<PlacedNotice>
  /** Whether the log has every entry after the one that was asked for. */
  readonly isComplete: boolean
}

/** How long what was read is kept, in milliseconds. */
const keptFor = 60_000
/** Notices that are kept, and characters that are read, at most. */
const maxNotices = 100_000
const maxRead = 64 * 1024 * 1024

interface Kept {
  readonly notices: ReadonlyArray<PlacedNotice>
  /** The entry that was asked for, and the one after which everything was read. */
  readonly asked: number
  readonly after: number
  readonly until: number
}

/** Returns how to read what happened since an entry, and how to add what happens now. */
export const makeMissedNotices = (audit: AuditLog["Service"]) => {
  const oneAtATime = Semaphore.makeUnsafe(1)
  let kept: Kept | undefined
  /** What happened since the reading began. */
  let recent: Array<PlacedNotice> | undefined

  const since = Effect.fnUntraced(function* (after: number) {
    const now = yield* Clock.currentTimeMillis
    if (kept === undefined || recent === undefined || kept.asked > after || kept.until < now) {
      recent = []
      kept = undefined
      kept = { ...(yield* readSince(audit, after)), asked: after, until: now + keptFor }
    }
    const notices = [...kept.notices, ...recent].filter(({ seq }) => seq > after)
    return { notices, isComplete: kept.after <= after } satisfies MissedNotices
  }, Semaphore.withPermit(oneAtATime))

  const add = (notice: PlacedNotice): void => {
    recent?.push(notice)
    if ((recent?.length ?? 0) > maxNotices) recent = undefined
  }
  return { since, add }
}

/** Reads the log back to an entry, or as far as it goes. */
const readSince = Effect.fnUntraced(function* (audit: AuditLog["Service"], after: number) {
  const entries: Array<AuditEntry & { readonly seq: number }> = []
  let [read, next] = [0, Infinity]
  yield* audit.readBackwards((line) => {
    const seq = seqOf(line)
    if (seq !== undefined && seq <= after) return false
    next = seq ?? next
    const entry = mayMatter(line) ? Option.getOrUndefined(decodeEntry(line)) : undefined
    if (entry !== undefined && audit.isTrusted(entry)) entries.push({ ...entry, seq: Math.max(after + 1, seq ?? 0) })
    read += line.length
    return entries.length < maxNotices && read < maxRead
  })
  const reader = new NoticeReader(after)
  const notices = entries.toReversed().flatMap((entry) => reader.next(entry, entry.seq, entry.timestamp))
  return { notices: [...notices, ...reader.rest()], after: next === Infinity ? after : next - 1 }
})

/** Returns the number of an entry; undefined for a line of another program. */
const seqOf = (line: string): number | undefined => {
  const [, seq] = /,"seq":(\d+),"prev":"[0-9a-f]{64}"\}$/.exec(line) ?? []
  return seq === undefined ? undefined : Number(seq)
}

/** Returns whether an entry may hold a notice, or name the store. Decoding every line would take much longer. */
const mayMatter = (line: string): boolean => line.includes(',"store":"') || action.test(line)

const action = new RegExp(`"action":"(?:${noticeActions.join("|")})"`)
