/**
 * Where the chain of the audit log goes on at a start, and whether its end is still
 * there.
 *
 * The log itself says where it ends. Where audit.head.json knows of more entries,
 * somebody cut the log or took it away; then the chain goes on behind what was
 * acknowledged, so that the gap stays visible for ever.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { basename } from "node:path"
import type { ChainedEntry, ChainHead } from "../../domain/AuditChain.ts"
import { decodeChainedEntry, genesis, sha256 } from "../../domain/AuditChain.ts"
import { decodeEntry, isAdoptionEntry, isStartEntry } from "../../domain/AuditEntry.ts"
import type { Timestamp } from "../../domain/Timestamp.ts"
import { parseTimestamp } from "../../domain/Timestamp.ts"
import type { AuditHead } from "./auditHead.ts"
import { attempt } from "../files/durableFile.ts"
import type { LogFile } from "./LogFile.ts"
import { readLines } from "./logReader.ts"

export interface AuditStart {
  readonly head: ChainHead
  /** The last chained entry; undefined in a log that has none. */
  readonly last: LastEntry | undefined
  /** Whether nobody else ran since our last entry, those of a start that came to nothing aside. */
  readonly isLastWriter: boolean
  /** The time of the last entry, whoever wrote it; undefined where there is none. */
  readonly lastEntryTime: Timestamp | undefined
  /** The number of the oldest entry that is known of. */
  readonly first: number
  /** What is wrong with the log; undefined if nothing is. */
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

/** Reads as little as it must: where our own entry is the last, one line. */
export const auditStart = Effect.fn("auditStart")(function* (log: LogFile, known: Option.Option<AuditHead>) {
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
  // Without audit.head.json, what is there is all that is known of.
  const first = Option.isSome(known)
    ? known.value.first
    : (firstChained(found === undefined ? [] : log.files())?.seq ?? 1)
  const stored = Option.getOrUndefined(known)
  const rest = { last, isLastWriter: isLastWriter ?? false, lastEntryTime, first }
  if (stored !== undefined && stored.seq > head.seq) {
    const missing = stored.seq - head.seq
    const damage = `${missing} entries that were acknowledged are missing at its end, from number ${head.seq + 1} on`
    return { ...rest, head: { seq: stored.seq, hash: stored.hash }, damage } satisfies AuditStart
  }
  if (stored !== undefined && stored.seq === last?.seq && stored.hash !== last.line) {
    const damage = `its last entry, number ${stored.seq}, was changed`
    // What was written is continued, not what is there now: so it shows for ever.
    return { ...rest, head: { seq: stored.seq, hash: stored.hash }, damage } satisfies AuditStart
  }
  return { ...rest, head, damage: undefined } satisfies AuditStart
})

const headOf = Effect.fnUntraced(function* (log: LogFile, found: Found | undefined, foreign: number) {
  if (found !== undefined && foreign === 0) return { seq: found.entry.seq, hash: found.line }
  const files = log.files()
  if (found === undefined) return { ...genesis, hash: yield* hashOf(files.slice(-1), 0) }
  return { seq: found.entry.seq, hash: yield* hashOf(files.slice(files.indexOf(found.file)), found.start) }
})

/** The first entry of the chain in files, oldest first. Mostly it is their first line. */
export const firstChained = (files: ReadonlyArray<string>): ChainedEntry | undefined => {
  for (const file of files) {
    for (const line of readLines(file)) {
      const entry = Option.getOrUndefined(decodeChainedEntry(line))
      if (entry !== undefined) return entry
    }
  }
  return undefined
}

/** The hash over files one after the other, from a byte of the first one. */
const hashOf = (files: ReadonlyArray<string>, start: number) =>
  attempt("read", files.map((file) => basename(file)).join(", "), async () => {
    const digest = createHash("sha256")
    for (const [at, file] of files.entries()) {
      for await (const piece of fs.createReadStream(file, { start: at === 0 ? start : 0 })) digest.update(piece)
    }
    return digest.digest("hex")
  })
