/**
 * Verifies the hash chain of an audit log (`AuditChain`) from its lines, oldest first. Finds
 * edited lines, missing and added entries, a torn last line, and a store that is not the one
 * of the last entry. Between ours, only lines of the predecessor are accepted.
 */
import * as Option from "effect/Option"
import { createHash, type Hash } from "node:crypto"
import { counted } from "./counted.ts"
import { type ChainedEntry, decodeChainedEntry, genesis, sha256 } from "./AuditChain.ts"
import { decodeEntry, isLockEntry } from "./AuditEntry.ts"
import { exposureFileName, ExposureNames } from "./exposureFile.ts"
import { decodePredecessorEntry, PredecessorPart } from "./PredecessorPart.ts"
import { StoreTrace } from "./StoreTrace.ts"

export interface AuditFinding {
  readonly kind:
    | "edited"
    | "gap"
    | "truncated"
    | "torn"
    /** Lines or entries that the daemon did not write. */
    | "added"
    /** The end of the log is unknown, or is not the one that was given. */
    | "head"
    | "store"
    | "leases"
    | "lock"
    | "exposure"
    /** The daemon found it at a start; the files no longer show it. */
    | "reported"
  /** Where it was detected. */
  readonly file: string
  readonly line: number
  readonly message: string
}

/** The last acknowledged entry and the first entry that rotation kept; undefined if unknown. */
export type AcknowledgedHead =
  | {
      readonly seq: number
      readonly hash: string
      readonly first: number
      readonly store?: string | undefined
      /** False if the daemon stopped in order, so that no entry may follow. */
      readonly open?: boolean | undefined
    }
  | undefined

/** Another file that names an entry of the log. */
export interface AuditWitness {
  readonly seq: number
  readonly hash: string
  /** The name of that file. */
  readonly from: string
}

/** Lines of the predecessor between two entries, or after the last one. */
export interface AdoptedPart {
  readonly lines: number
  readonly from: string
  readonly to: string
  /** The number of the entry after it; undefined until the next start. */
  readonly before: number | undefined
  /** Whether it ends the log, and secrets.age is not the one of the last entry: the predecessor records no changes. */
  readonly isOtherStore: boolean
}

/** What was found beside the log. */
export interface AuditSurroundings {
  /** The SHA-256 of secrets.age, if it is known. */
  readonly store?: string | undefined
  /** What is wrong with leases.json; undefined if nothing is. */
  readonly leases?: string | undefined
  /** The SHA-256 of exposure.json, "absent" if there is none; undefined if that does not matter. */
  readonly exposure?: string | undefined
  /** Whether the store is locked; undefined if that does not matter. */
  readonly isLocked?: boolean | undefined
  /** Whether a daemon has begun to append while the log was read. */
  readonly isOpen?: boolean
}

export interface AuditVerdict {
  /** The number of chained entries. */
  readonly entries: number
  /** The number of lines outside the chain, such as those of the predecessor. */
  readonly unchained: number
  /** The number of the first and the last chained entry; 0 where there is none. */
  readonly first: number
  readonly last: number
  /** SHA-256 of the last chained line. A copy kept elsewhere proves later truncation. */
  readonly hash: string
  readonly adopted: ReadonlyArray<AdoptedPart>
  readonly findings: ReadonlyArray<AuditFinding>
  /** The number of findings that a person has accepted since. */
  readonly accepted: number
  /** The messages that audit entries already record. */
  readonly recorded: ReadonlySet<string>
}

export class AuditVerifier {
  private readonly acknowledged: AcknowledgedHead
  private readonly witnesses: ReadonlyArray<AuditWitness>
  private readonly expected: string | undefined
  private isExpectedFound = false
  private findings: Array<AuditFinding> = []
  private reported: Array<AuditFinding> = []
  private readonly accepted = new Set<string>()
  private readonly recorded = new Set<string>()
  private readonly adopted: Array<AdoptedPart> = []
  private readonly store = new StoreTrace()
  private readonly exposures = new ExposureNames()
  /** The entry that locks the store; undefined if none does. */
  private lockedBy: number | undefined
  private readonly here = { file: "", line: 0 }
  /** The files before the first chained entry. */
  private readonly earlier: Array<{ name: string; lines: number; digest: Hash; isLike: boolean }> = []
  private entries = 0
  private unchained = 0
  /** The lines outside the chain since the last chained entry. */
  private part = new PredecessorPart()
  /** Where they begin, and how many findings there were before. */
  private partStart = { file: "", line: 0, findings: 0 }
  private first = 0
  private last = 0
  /** The location of the last chained entry. */
  private place = { file: "", line: 0 }
  private hash = ""
  private pending: Hash = createHash("sha256")
  private torn = 0

  /** `expected` is the hash of an entry that the log must have. */
  constructor(acknowledged: AcknowledgedHead, witnesses: ReadonlyArray<AuditWitness> = [], expected?: string) {
    this.acknowledged = acknowledged
    this.expected = expected
    this.witnesses = [...(acknowledged === undefined ? [] : [{ ...acknowledged, from: headName }]), ...witnesses]
  }

  /** Starts the next file. */
  beginFile(name: string): void {
    this.here.file = name
    this.here.line = 0
    if (this.first > 0) return
    this.pending = createHash("sha256")
    this.part = new PredecessorPart()
    this.earlier.push({ name, lines: 0, digest: createHash("sha256"), isLike: true })
  }

  /** Adds a complete line, including its line feed. Returns the entry, if it is part of the chain. */
  add(bytes: Uint8Array): ChainedEntry | undefined {
    this.here.line += 1
    const text = Buffer.from(bytes).toString("utf8", 0, bytes.length - 1)
    const entry = Option.getOrUndefined(decodeChainedEntry(text))
    if (entry === undefined) {
      this.addUnchained(bytes, text)
      return undefined
    }
    const before = this.pending.digest("hex")
    if (this.first === 0) this.begin(entry, before)
    else this.follow(entry, before)
    this.endPart(entry.seq)
    if (entry.action === "audit_finding" || entry.action === "audit_damaged") this.note(entry)
    if (entry.action === "audit_accept") this.accept(entry.details)
    if (isLockEntry(entry)) this.lockedBy = entry.action === "store_lock" ? (this.lockedBy ?? entry.seq) : undefined
    this.exposures.add(entry, entry.seq)
    const replaced = this.store.add(entry)
    if (replaced !== undefined) this.find("store", replaced)
    this.pending = createHash("sha256").update(bytes)
    this.hash = sha256(bytes)
    if (this.hash === this.expected) this.isExpectedFound = true
    this.last = entry.seq
    this.place = { ...this.here }
    this.entries += 1
    for (const { from, hash, seq } of this.witnesses) {
      if (seq !== entry.seq || hash === this.hash) continue
      this.find(
        "edited",
        `entry ${seq} is not the one that ${from === headName ? "was acknowledged" : `${from} names`}`
      )
    }
    return entry
  }

  /** Reports bytes after the last line feed of the last file. */
  tear(bytes: number): void {
    this.torn = bytes
    if (bytes > 0) this.here.line += 1
  }

  end({ exposure, isLocked, isOpen = false, leases, store }: AuditSurroundings = {}): AuditVerdict {
    const { acknowledged, part } = this
    const latest = this.witnesses.toSorted((a, b) => b.seq - a.seq)[0] ?? { seq: 0, from: headName }
    const [from, to] = [this.last + 1, latest.seq]
    const missing = to - this.last
    const isTorn = this.torn > 0 && missing === 1
    if (this.torn > 0) {
      const whole = isTorn ? `; it was entry ${to}, which had been acknowledged` : ""
      this.find("torn", `the last line is cut off after ${counted(this.torn, "byte")}${whole}`)
    }
    if (missing > 0 && !isTorn) {
      const source = latest.from === headName ? "" : `; ${latest.from} names entry ${to}`
      if (part.lines >= missing) this.find("edited", `${these(from, to)} not as written${source}`)
      else this.find("truncated", `${these(from, to)} missing at the end${source}`)
    }
    if (this.first > 0 && acknowledged === undefined) this.find("head", headMissing(this.last))
    if (this.expected !== undefined && !this.isExpectedFound) this.find("head", hashNotFound(this.first))
    if (!isOpen && acknowledged?.open === false && this.last > acknowledged.seq) {
      this.find("added", addedAfterStop(acknowledged.seq + 1, this.last))
    }
    const replaced = this.store.end(store, acknowledged?.store)
    if (replaced !== undefined && !part.isPlausible) this.find("store", replaced, this.place)
    if (this.first > 0) this.endPart(undefined, replaced !== undefined)
    // A damaged log is no measure for the leases.
    if (leases !== undefined && this.findings.length === 0)
      this.find("leases", leases, { file: "leases.json", line: 0 })
    const ofExposure = exposure === "absent" ? undefined : exposure
    const forged =
      exposure === undefined || this.findings.length > 0 ? undefined : this.exposures.problemOf(ofExposure, this.first)
    if (forged !== undefined) this.find("exposure", forged, { file: exposureFileName, line: 0 })
    if (isLocked === false && this.lockedBy !== undefined) {
      this.find("lock", `entry ${this.lockedBy} locks the store, and its lock file is missing`, {
        file: "secrets.age.locked",
        line: 0
      })
    }
    const messages = new Set(this.findings.map(({ message }) => message))
    const findings = [...this.findings, ...this.reported.filter(({ message }) => !messages.has(message))]
    const { adopted, entries, first, hash, last, recorded, unchained } = this
    return { entries, unchained, first, last, hash, adopted, findings, accepted: this.accepted.size, recorded }
  }

  private addUnchained(bytes: Uint8Array, text: string): void {
    if (this.part.lines === 0) this.partStart = { ...this.here, findings: this.findings.length }
    if (this.first > 0) {
      if (Option.isNone(decodeEntry(text))) this.find("edited", "the line is not an audit entry")
      this.part.add(text)
    }
    this.unchained += 1
    this.pending.update(bytes)
    const file = this.first === 0 ? this.earlier.at(-1) : undefined
    if (file === undefined) return
    file.lines += 1
    file.digest.update(bytes)
    if (file.lines <= examinedLines) file.isLike &&= Option.isSome(decodePredecessorEntry(text))
  }

  private begin(entry: ChainedEntry, before: string): void {
    this.first = entry.seq
    const kept = this.acknowledged?.first ?? entry.seq
    if (entry.seq > kept) this.find("gap", `${these(kept, entry.seq - 1)} missing at the beginning`)
    if (entry.seq === 1 && entry.prev !== before) {
      this.find("edited", "the lines before entry 1 have changed since it was written")
    }
    const isAdopted = (hash: string) => entry.action === "audit_adopt" && entry.details?.includes(hash) === true
    // Earlier versions recorded no adoption; where they found a log, its archives may be the predecessor's.
    const mayHaveArchives = entry.action !== "audit_adopt" && entry.prev !== genesis.hash
    for (const { digest, isLike, lines, name } of this.earlier.slice(0, -1)) {
      if (lines === 0) continue
      const isOurs = entry.seq === 1 && (isAdopted(digest.digest("hex")) || (mayHaveArchives && isLike))
      if (!isOurs) this.find("added", `${name} does not belong to this log`, { file: name, line: 1 })
    }
  }

  private follow(entry: ChainedEntry, before: string): void {
    const missing = entry.seq - this.last - 1
    const foreign = this.part.lines
    if (missing < 0) this.find("edited", `entry ${entry.seq} follows entry ${this.last}`)
    else if (missing > 0 && foreign >= missing) {
      this.find("edited", `${these(this.last + 1, entry.seq - 1)} not as written`)
    } else if (missing > 0) this.find("gap", `${these(this.last + 1, entry.seq - 1)} missing`)
    else if (entry.prev !== before) {
      if (foreign === 0) this.find("edited", `entry ${this.last} is not as written`, this.place)
      else this.find("edited", `something between entry ${this.last} and entry ${entry.seq} is not as written`)
    }
  }

  /** Accepts or reports the lines before the entry `next`; undefined at the end of the log. */
  private endPart(next: number | undefined, isOtherStore = false): void {
    const { part, partStart } = this
    if (part.lines > 0 && this.entries > 0) {
      const { from, isPlausible, lines, to } = part
      if (isPlausible) {
        this.adopted.push({ lines, from, to, before: next, isOtherStore })
        this.store.forget()
      } else if (this.findings.length === partStart.findings) {
        this.find("added", addedLines(lines, this.last), partStart)
      }
    }
    this.part = new PredecessorPart()
  }

  /** A gap that such an entry follows is recorded by it. */
  private note({ action, details = "", store }: ChainedEntry): void {
    const { file, line } = this.here
    for (const finding of this.findings) {
      if (finding.file === file && finding.line === line) this.recorded.add(finding.message)
    }
    this.recorded.add(details)
    if (action === "audit_finding" && store === undefined)
      this.reported.push({ kind: "reported", file, line, message: details })
  }

  /** Accepts those findings before this entry that it names. */
  private accept(details = ""): void {
    const ids = new Set(details.split(" "))
    const isOpen = ({ message }: AuditFinding): boolean => {
      const isAccepted = ids.has(findingId(message))
      if (isAccepted) this.accepted.add(message)
      return !isAccepted
    }
    this.findings = this.findings.filter(isOpen)
    this.reported = this.reported.filter(isOpen)
  }

  private find(kind: AuditFinding["kind"], message: string, { file, line } = this.here): void {
    this.findings.push({ kind, file, line, message })
  }
}

const headName = "audit.head.json"
/** Enough to recognize the predecessor's log, which may have a gigabyte. */
const examinedLines = 100

/** Names a finding in the entry that accepts it. */
export const findingId = (message: string): string => sha256(message).slice(0, 32)

/** Texts of findings that a start records too. */
export const headMissing = (last: number): string =>
  `audit.head.json was missing or unreadable: entries after number ${last} may be missing`
export const addedAfterStop = (from: number, to: number): string =>
  `${these(from, to)} not of the daemon, which had stopped before`
export const addedLines = (lines: number, last: number): string =>
  `${counted(lines, "line")} after entry ${last} ${lines === 1 ? "is" : "are"} not of the daemon`

const hashNotFound = (first: number): string =>
  `no entry has the given hash${first > 1 ? `; the log begins with entry ${first}, older ones were dropped` : ""}`

const these = (from: number, to: number): string => (from === to ? `entry ${from} is` : `entries ${from} to ${to} are`)
