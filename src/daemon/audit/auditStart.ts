/**
 * Finds where the chain of the audit log continues at a start, and checks its end.
 *
 * If audit.head.json names a later entry than the log, the log was truncated or
 * removed. The chain then continues after the last acknowledged entry, so that the gap
 * stays visible in every later verification.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { basename } from "node:path"
import { type ChainedEntry, type ChainHead, decodeChainedEntry, genesis, sha256 } from "../../domain/AuditChain.ts"
import { decodeEntry, isAdoptionEntry, isStartEntry } from "../../domain/AuditEntry.ts"
import { parseTimestamp, type Timestamp } from "../../domain/Timestamp.ts"
import type { AuditHead } from "./auditHead.ts"
import { attempt } from "../files/durableFile.ts"
import type { LogFile } from "./LogFile.ts"
import { readLines } from "./logReader.ts"

export interface AuditStart {
  readonly head: ChainHead
  /** The last chained entry; undefined in a log that has none. */
  readonly last: LastEntry | undefined
  /** Whether no other program has written since our last entry; entries of failed starts do not count. */
  readonly isLastWriter: boolean
  /** The time of the last entry of any program; undefined if there is none. */
  readonly lastEntryTime: Timestamp | undefined
  /** The number of the oldest known entry. */
  readonly first: number
  /** What is wrong with the log; undefined if it is intact. */
  readonly damage: string | undefined
}

export interface LastEntry {
  readonly seq: number
  /** SHA-256 of its line with the line feed. */
  readonly line: string
  readonly timestamp: string
}

interface Found {
  readonly entry: ChainedEntry
  readonly line: string
  readonly file: string
  readonly start: number
}

/** Reads the log backwards as far as needed: one line, if our own entry is the last. */
export const auditStart = Effect.fn("auditStart")(function* (log: LogFile, storedHead: Option.Option<AuditHead>) {
  let found: Found | undefined
  let foreign = 0
  let isLastWriter: boolean | undefined
  let lastEntryTime: Timestamp | undefined
  yield* log.readBackwards((line, file, start) => {
    lastEntryTime ??= Option.getOrUndefined(
      Option.flatMap(decodeEntry(line), ({ timestamp }) => parseTimestamp(timestamp))
    )
    const entry = Option.getOrUndefined(decodeChainedEntry(line))
    if (entry === undefined) isLastWriter ??= false
    else if (!isStartEntry(entry)) isLastWriter ??= !isAdoptionEntry(entry)
    if (found === undefined && entry === undefined) foreign += 1
    if (entry !== undefined) found ??= { entry, line: sha256(`${line}\n`), file, start }
    return found === undefined || isLastWriter === undefined
  })
  const head = yield* headOf(log, found, foreign)
  const last = found && { seq: found.entry.seq, line: found.line, timestamp: found.entry.timestamp }
  const stored = Option.getOrUndefined(storedHead)
  const first = stored?.first ?? firstChained(found === undefined ? [] : log.files())?.seq ?? 1
  const start = { last, isLastWriter: isLastWriter ?? false, lastEntryTime, first, head, damage: undefined }
  const damage = stored === undefined ? undefined : findDamage(stored, head.seq, last)
  if (stored === undefined || damage === undefined) return start satisfies AuditStart
  // The chain continues from the entry as it was written, so that the damage stays visible.
  return { ...start, head: { seq: stored.seq, hash: stored.hash }, damage } satisfies AuditStart
})

const findDamage = (stored: AuditHead, seq: number, last: LastEntry | undefined): string | undefined => {
  if (stored.seq > seq) {
    return `${stored.seq - seq} acknowledged entries are missing at the end of the log, from number ${seq + 1} on`
  }
  const isChanged = stored.seq === last?.seq && stored.hash !== last.line
  return isChanged ? `the last entry of the log, number ${stored.seq}, was changed` : undefined
}

const headOf = Effect.fnUntraced(function* (log: LogFile, found: Found | undefined, foreign: number) {
  if (found !== undefined && foreign === 0) return { seq: found.entry.seq, hash: found.line }
  const files = log.files()
  if (found === undefined) return { ...genesis, hash: yield* hashOf(files.slice(-1), 0) }
  return { seq: found.entry.seq, hash: yield* hashOf(files.slice(files.indexOf(found.file)), found.start) }
})

/** Finds the first chained entry in files, oldest first; usually it is their first line. */
export const firstChained = (files: ReadonlyArray<string>): ChainedEntry | undefined => {
  for (const file of files) {
    for (const line of readLines(file)) {
      const entry = Option.getOrUndefined(decodeChainedEntry(line))
      if (entry !== undefined) return entry
    }
  }
  return undefined
}

/** Hashes the concatenated files, from an offset of the first one. */
const hashOf = (files: ReadonlyArray<string>, start: number) =>
  attempt("read", files.map((file) => basename(file)).join(", "), async () => {
    const digest = createHash("sha256")
    for (const [at, file] of files.entries()) {
      for await (const chunk of fs.createReadStream(file, { start: at === 0 ? start : 0 })) digest.update(chunk)
    }
    return digest.digest("hex")
  })
