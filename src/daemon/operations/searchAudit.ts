/**
 * searchAudit: the last entries of the audit log that are meant, oldest first.
 *
 * It reads from the end and stops where it has enough, where it comes to what is not
 * asked for, or where it has read so much that others would wait; then it says so.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isChained } from "../../domain/AuditChain.ts"
import type { AuditEntry } from "../../domain/AuditEntry.ts"
import { decodeEntry } from "../../domain/AuditEntry.ts"
import { stringify } from "../../domain/goText.ts"
import type { Timestamp } from "../../domain/Timestamp.ts"
import { parseTimestamp } from "../../domain/Timestamp.ts"
import { AuditLog } from "../audit/AuditLog.ts"

export interface AuditSearch {
  readonly secretName: string | undefined
  readonly clientId: string | undefined
  readonly action: string | undefined
  /** Only entries of this moment and later ones. */
  readonly since: Timestamp | undefined
  /** Only entries behind the one of this number. */
  readonly after: number
  readonly count: number
  /** Characters of entries that are given at the most. */
  readonly length: number
}

export interface AuditSearchResult {
  readonly entries: ReadonlyArray<AuditEntry>
  /** Whether all that is meant is among them or before them: false if older entries were not looked at. */
  readonly complete: boolean
}

/** As much as a log has in all its files unless configured otherwise; to look through it takes well under a second. */
const maxReadBytes = 64 * 1024 * 1024
/** Lines are looked at for their time once in so many; the others only if they may be meant. */
const timeEvery = 64

export const searchAudit = Effect.fn("searchAudit")(function* (search: AuditSearch) {
  const audit = yield* AuditLog
  const mayBe = mayBeMeant(search)
  const entries: Array<AuditEntry> = []
  let [lines, read, given, complete] = [0, 0, 0, true]
  yield* audit.readBackwards((line) => {
    lines += 1
    read += line.length
    const candidate = mayBe(line)
    if (candidate || search.after > 0 || (search.since !== undefined && lines % timeEvery === 0)) {
      const entry = Option.getOrUndefined(decodeEntry(line))
      if (entry !== undefined && isBefore(search, entry)) return false
      if (candidate && entry !== undefined && isMeant(search, entry)) {
        if (entries.length === search.count || given >= search.length) return (complete = false)
        entries.push(entry)
        given += line.length
      }
    }
    return read < maxReadBytes || (complete = false)
  })
  const found: AuditSearchResult = { entries: entries.toReversed(), complete }
  return found
})

/** A name stands in the line as the encoder writes it; looking for that spares reading the rest. */
const mayBeMeant = ({ action, clientId, secretName }: AuditSearch) => {
  const needles = [action, clientId, secretName].filter((text) => text !== undefined).map((text) => stringify(text))
  return (line: string) => needles.every((needle) => line.includes(needle))
}

const isMeant = ({ action, clientId, secretName }: AuditSearch, entry: AuditEntry): boolean =>
  (action === undefined || entry.action === action) &&
  (clientId === undefined || entry.client_id === clientId) &&
  (secretName === undefined || entry.secret_name === secretName)

const isBefore = ({ after, since }: AuditSearch, entry: AuditEntry): boolean => {
  if (isChained(entry) && entry.seq <= after) return true
  if (since === undefined) return false
  const at = parseTimestamp(entry.timestamp)
  return Option.isSome(at) && at.value.millis < since.millis
}
