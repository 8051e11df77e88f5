/**
 * searchAudit: the last matching entries of the audit log, oldest first.
 *
 * It reads from the end and stops at its limits or at the first entry that is too old.
 * If it stops before it has searched everything requested, the result is incomplete. A search
 * that reaches the first entry that is kept returns it, if older ones were removed.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isChained } from "../../domain/AuditChain.ts"
import { type AuditEntry, decodeEntry } from "../../domain/AuditEntry.ts"
import { stringify } from "../../domain/goText.ts"
import { isOfClient } from "../../domain/Lease.ts"
import { parseTimestamp, type Timestamp } from "../../domain/Timestamp.ts"
import { AuditLog } from "../audit/AuditLog.ts"

export interface AuditSearch {
  readonly secretName: string | undefined
  readonly clientId: string | undefined
  /** Whether the runs of the client count too. */
  readonly below?: boolean
  readonly action: string | undefined
  /** Only entries of this time or later. */
  readonly since: Timestamp | undefined
  /** Only entries after this number. */
  readonly after: number
  readonly count: number
  /** The maximum number of characters to return. */
  readonly length: number
}

/** As large as all files of a log with the default rotation. */
export const maxReadBytes = 64 * 1024 * 1024
/** How often the time of a line is checked that does not match. */
const timeCheckInterval = 64

export const searchAudit = Effect.fn("searchAudit")(function* (search: AuditSearch) {
  const audit = yield* AuditLog
  const mayMatch = prefilter(search)
  const entries: Array<AuditEntry> = []
  let [lines, read, returned, complete] = [0, 0, 0, true]
  let [oldest, isWhole] = ["", true]
  const add = (line: string): boolean => {
    lines += 1
    read += line.length
    const candidate = mayMatch(line)
    if (candidate || search.after > 0 || (search.since !== undefined && lines % timeCheckInterval === 0)) {
      const entry = Option.getOrUndefined(decodeEntry(line))
      if (entry !== undefined && isBefore(search, entry)) return false
      if (candidate && entry !== undefined && matches(search, entry)) {
        if (entries.length === search.count || returned >= search.length) return (complete = false)
        entries.push(entry)
        returned += line.length
      }
    }
    return read < maxReadBytes || (complete = false)
  }
  yield* audit.readBackwards((line) => {
    oldest = line
    return (isWhole = add(line))
  })
  const first = isWhole ? Option.getOrUndefined(decodeEntry(oldest)) : undefined
  const begin = first !== undefined && isChained(first) && first.seq > 1 ? first : undefined
  /** `complete` is false if older matching entries may exist that were not read or did not fit. */
  return { entries: entries.toReversed(), complete, begin }
})

/** Searches a line for the encoded names, so that most lines need no decoding. */
const prefilter = ({ action, below, clientId, secretName }: AuditSearch) => {
  const texts = [action, below ? undefined : clientId, secretName].filter((text) => text !== undefined)
  const needles = texts.map((text) => stringify(text))
  return (line: string) => needles.every((needle) => line.includes(needle))
}

const matches = ({ action, below, clientId, secretName }: AuditSearch, entry: AuditEntry): boolean =>
  (action === undefined || entry.action === action) &&
  (clientId === undefined || isOfClient(entry.client_id ?? "", clientId, below)) &&
  (secretName === undefined || entry.secret_name === secretName)

const isBefore = ({ after, since }: AuditSearch, entry: AuditEntry): boolean => {
  if (isChained(entry) && entry.seq <= after) return true
  if (since === undefined) return false
  const at = parseTimestamp(entry.timestamp)
  return Option.isSome(at) && at.value.millis < since.millis
}
