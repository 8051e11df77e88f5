/**
 * Finds where the chain of the audit log continues at a start, and checks its end.
 *
 * If audit.head.json or another file names a later entry than the log, the log was cut or
 * removed. The chain then continues after the last entry that is known, so that the gap stays
 * visible in every later verification. Lines of the predecessor are adopted, all others are
 * reported. `verifyAuditLog` checks the rest of the log after the start.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { basename } from "node:path"
import { counted } from "../../domain/counted.ts"
import { type ChainedEntry, type ChainHead, decodeChainedEntry, genesis, sha256 } from "../../domain/AuditChain.ts"
import { type AuditFact, decodeEntry, isAdoptionEntry, isLockEntry, isStartEntry } from "../../domain/AuditEntry.ts"
import { auditAdoptFact, auditDamagedFact, auditFindingFact } from "../../domain/daemonFacts.ts"
import { withStore } from "../../domain/storeFacts.ts"
import { addedAfterStop, addedLines, type AuditWitness, headMissing } from "../../domain/AuditVerifier.ts"
import { decodePredecessorEntry, PredecessorPart } from "../../domain/PredecessorPart.ts"
import { parseTimestamp, type Timestamp } from "../../domain/Timestamp.ts"
import { type AuditNeighbours, readStoreHash, readWitnesses } from "./auditEvidence.ts"
import type { AuditHead } from "./auditHead.ts"
import { attempt } from "../files/durableFile.ts"
import type { LogFile } from "./LogFile.ts"
import { readLines } from "./logReader.ts"

/** What the predecessor wrote after our last entry: a part of the log, or all of it. */
export type Predecessor = PredecessorPart | "whole log"

export interface AuditStart {
  readonly head: ChainHead
  /** The last chained entry; undefined in a log that has none. */
  readonly last: LastEntry | undefined
  /** The predecessor's part, while its leases are not in the log yet; undefined if it did not write last. */
  readonly predecessor: Predecessor | undefined
  /** Entries with a higher number are not of the daemon, although they are part of the chain. */
  readonly trusted: number
  /** The time of the last entry of any program; undefined if there is none. */
  readonly lastEntryTime: Timestamp | undefined
  /** Since when the store is locked; undefined if it is not. */
  readonly locked: string | undefined
  /** The SHA-256 of secrets.age; undefined if it is unknown. */
  readonly store: string | undefined
  /** The number of the oldest known entry. */
  readonly first: number
  /** Whether audit.head.json may be written before anything is recorded: it is there, and not ahead of the log. */
  readonly isHeadRight: boolean
  /** What the start records before anything else: an adoption, or what is wrong with the log. */
  readonly facts: ReadonlyArray<AuditFact>
}

export interface LastEntry {
  readonly seq: number
  /** SHA-256 of its line with the line feed. */
  readonly line: string
  readonly timestamp: string
}

/** The end of the log, as far as it was read. */
interface LogEnd {
  /** The last chained entry. */
  found:
    | { readonly entry: ChainedEntry; readonly line: string; readonly file: string; readonly start: number }
    | undefined
  /** The number of lines after it. */
  foreign: number
  /** The last line that is an entry of any program. */
  lastEntryLine: string | undefined
  lastEntryTime: Timestamp | undefined
  /** Whether the predecessor's leases may not be adopted yet. */
  isPending: boolean | undefined
  /** The last entry before one that does not continue it; undefined if there is none such. */
  brokenAfter: number | undefined
}

/** Reads the log backwards as far as needed: one line, if our own entry is the last. */
export const auditStart = Effect.fn("auditStart")(function* (
  log: LogFile,
  storedHead: Option.Option<AuditHead>,
  beside: AuditNeighbours = {}
) {
  const stored = Option.getOrUndefined(storedHead)
  const witnesses = [...(stored === undefined ? [] : [{ ...stored, from: "" }]), ...(yield* readWitnesses(beside))]
  const latest = witnesses.toSorted((a, b) => b.seq - a.seq)[0]
  const end = yield* readEnd(log, latest?.seq ?? Number.POSITIVE_INFINITY)
  const { found, foreign, lastEntryTime } = end
  const last = found && { seq: found.entry.seq, line: found.line, timestamp: found.entry.timestamp }
  const damage = findDamage(witnesses, latest, last)
  const isKnown = latest !== undefined && latest.seq > 0
  const predecessor = damage === undefined ? yield* findPredecessor(log, end, isKnown) : undefined
  const seal = yield* sealOf(log, end)
  const store = yield* readStoreHash(beside)

  const facts: Array<AuditFact> = []
  if (foreign > 0 && (found === undefined || predecessor !== undefined)) {
    const isOther = stored?.store !== undefined && store !== undefined && store !== stored.store
    const details = `${adoptionDetails(foreign, found?.entry.seq, seal)}${isOther ? "; secrets.age is another one since" : ""}`
    facts.push(withStore(auditAdoptFact(details), store))
  } else if (foreign > 0) facts.push(auditDamagedFact(addedLines(foreign, found?.entry.seq ?? 0)))
  if (damage !== undefined) facts.push(auditDamagedFact(damage.details))
  if (found !== undefined && stored === undefined) facts.push(auditFindingFact(headMissing(found.entry.seq)))
  const isClosed = stored?.open === false && (last?.seq ?? 0) > stored.seq
  if (isClosed) facts.push(auditFindingFact(addedAfterStop(stored.seq + 1, last?.seq ?? 0)))
  if (end.brokenAfter !== undefined) facts.push(auditFindingFact(notContinued(end.brokenAfter)))
  if (predecessor === undefined && stored?.store !== undefined && store !== undefined && store !== stored.store) {
    if ((yield* lastStoreIn(log)) !== store) facts.push(withStore(auditFindingFact(storeReplaced), store))
  }
  const trusted = Math.min(
    isClosed ? stored.seq : Number.POSITIVE_INFINITY,
    end.brokenAfter ?? Number.POSITIVE_INFINITY
  )
  const first = stored?.first ?? firstChained(found === undefined ? [] : log.files())?.seq ?? 1
  // After damage, the chain continues from the entry as it was written, so that the damage stays visible.
  const head = damage === undefined ? seal.head : damage.head
  const isHeadRight = damage === undefined && (stored !== undefined || found === undefined)
  // The log is the truth: audit.head.json may be removed, or older than the last entries after a crash.
  const lock = found === undefined ? undefined : yield* lastLockAfter(log, stored?.seq ?? 0, trusted)
  const locked = lock === undefined ? stored?.locked : lock.action === "store_lock" ? lock.timestamp : undefined
  return {
    head,
    last,
    isHeadRight,
    predecessor,
    trusted,
    lastEntryTime,
    locked,
    store,
    first,
    facts
  } satisfies AuditStart
})

const notContinued = (seq: number): string => `what follows entry ${seq} does not continue it`
const storeReplaced = "secrets.age is not the one that the daemon wrote last: it was replaced or rolled back"

/** Reads the end of the log; checks the entries after the number `acknowledged`. */
const readEnd = Effect.fnUntraced(function* (log: LogFile, acknowledged: number) {
  const end: LogEnd = {
    found: undefined,
    foreign: 0,
    lastEntryLine: undefined,
    lastEntryTime: undefined,
    isPending: undefined,
    brokenAfter: undefined
  }
  /** The entry after the current line, if no other line is between them. */
  let next: ChainedEntry | undefined
  yield* log.readBackwards((line, file, start) => {
    if (end.lastEntryLine === undefined || end.lastEntryTime === undefined) {
      const read = decodeEntry(line)
      if (Option.isSome(read)) end.lastEntryLine ??= line
      end.lastEntryTime ??= Option.getOrUndefined(Option.flatMap(read, ({ timestamp }) => parseTimestamp(timestamp)))
    }
    const entry = Option.getOrUndefined(decodeChainedEntry(line))
    if (entry === undefined) {
      end.isPending ??= true
      if (end.found === undefined) end.foreign += 1
      next = undefined
      return end.found === undefined
    }
    const hash = sha256(`${line}\n`)
    if (next !== undefined && next.seq > acknowledged && (next.prev !== hash || next.seq !== entry.seq + 1)) {
      end.brokenAfter = entry.seq
    }
    next = entry
    end.found ??= { entry, line: hash, file, start }
    if (!isStartEntry(entry)) end.isPending ??= isAdoptionEntry(entry)
    return end.isPending === undefined || entry.seq > acknowledged
  })
  return end
})

/** Finds the predecessor's part at the end of the log, sealed or not; undefined if it cannot be its part. */
const findPredecessor = Effect.fnUntraced(function* (log: LogFile, end: LogEnd, isKnown: boolean) {
  if (end.isPending !== true || end.lastEntryLine === undefined) return undefined
  if (end.found === undefined) {
    return !isKnown && Option.isSome(decodePredecessorEntry(end.lastEntryLine)) ? ("whole log" as const) : undefined
  }
  const part = new PredecessorPart()
  let isWhole = false
  yield* log.readBackwards((line) => {
    const entry = Option.getOrUndefined(decodeChainedEntry(line))
    if (entry === undefined) part.addBefore(line)
    // The first entry follows all that the predecessor had written before.
    isWhole = entry?.seq === 1 && part.lines === 0
    return !isWhole && (entry === undefined || (part.lines === 0 && (isStartEntry(entry) || isAdoptionEntry(entry))))
  })
  if (isWhole) return "whole log" as const
  return part.isPlausible ? part : undefined
})

/** Finds the last entry after a number that locks the store or opens it; one that is not trusted opens nothing. */
const lastLockAfter = Effect.fnUntraced(function* (log: LogFile, seq: number, trusted: number) {
  let last: ChainedEntry | undefined
  yield* log.readBackwards((line) => {
    // The whole log is read only where there is no head; decoding each line would take long.
    if (seq === 0 && !line.includes('"action":"store_')) return true
    const entry = Option.getOrUndefined(decodeChainedEntry(line))
    if (entry === undefined) return true
    const counts = isLockEntry(entry) && (entry.action === "store_lock" || entry.seq <= trusted)
    if (counts && entry.seq > seq) last = entry
    return last === undefined && entry.seq > seq
  })
  return last
})

/** Finds the store that the last entry with one names. */
const lastStoreIn = Effect.fnUntraced(function* (log: LogFile) {
  let store: string | undefined
  yield* log.readBackwards((line) => {
    if (line.includes('"store":')) store = Option.getOrUndefined(decodeChainedEntry(line))?.store
    return store === undefined
  })
  return store
})

const findDamage = (
  witnesses: ReadonlyArray<AuditWitness>,
  latest: AuditWitness | undefined,
  last: LastEntry | undefined
): { readonly details: string; readonly head: ChainHead } | undefined => {
  const seq = last?.seq ?? 0
  if (latest !== undefined && latest.seq > seq) {
    const source = latest.from === "" ? "" : `, as ${latest.from} shows`
    const details = `${counted(latest.seq - seq, "acknowledged entry", "is")} missing at the end of the log, from number ${seq + 1} on${source}`
    return { details, head: { seq: latest.seq, hash: latest.hash } }
  }
  const other = witnesses.find((witness) => witness.seq === last?.seq && witness.hash !== last.line)
  return other && { details: `the last entry of the log, number ${seq}, was changed`, head: { seq, hash: other.hash } }
}

/** The head of the chain behind the lines after the last entry, and the hashes of these lines by file. */
interface Seal {
  readonly head: ChainHead
  readonly lines: number
  readonly hashes: ReadonlyArray<readonly [name: string, hash: string]>
}

const sealOf = Effect.fnUntraced(function* (log: LogFile, { foreign, found }: LogEnd) {
  if (found !== undefined && foreign === 0) {
    return { head: { seq: found.entry.seq, hash: found.line }, lines: 0, hashes: [] } satisfies Seal
  }
  const files = log.files()
  if (found !== undefined) {
    const { hash } = yield* hashOf(files.slice(files.indexOf(found.file)), found.start)
    return { head: { seq: found.entry.seq, hash }, lines: foreign, hashes: [["", hash] as const] } satisfies Seal
  }
  const parts = yield* Effect.forEach(files, (file) =>
    Effect.map(hashOf([file], 0), ({ hash, lines }) => ({ name: basename(file), hash, lines }))
  )
  const used = parts.filter(({ lines }) => lines > 0)
  const head = { ...genesis, hash: parts.at(-1)?.hash ?? genesis.hash }
  const hashes = used.map(({ hash, name }) => [name, hash] as const)
  return { head, lines: used.reduce((sum, { lines }) => sum + lines, 0), hashes } satisfies Seal
})

const adoptionDetails = (foreign: number, after: number | undefined, { hashes, lines }: Seal): string => {
  const count = after === undefined ? lines : foreign
  const where = after === undefined ? "before the first entry" : `after entry ${after}`
  const sums = hashes.map(([name, hash]) => `${name === "" ? "" : `${name} `}${hash}`)
  return `${counted(count, "line")} of the predecessor ${where}; SHA-256 ${sums.join(", ")}`
}

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

/** Hashes the concatenated files, from an offset of the first one, and counts their lines. */
const hashOf = (files: ReadonlyArray<string>, start: number) =>
  attempt("read", files.map((file) => basename(file)).join(", "), async () => {
    const digest = createHash("sha256")
    let lines = 0
    for (const [at, file] of files.entries()) {
      for await (const chunk of fs.createReadStream(file, { start: at === 0 ? start : 0 })) {
        const bytes: Buffer = chunk
        digest.update(bytes)
        for (let feed = bytes.indexOf(0x0a); feed >= 0; feed = bytes.indexOf(0x0a, feed + 1)) lines += 1
      }
    }
    return { hash: digest.digest("hex"), lines }
  })
