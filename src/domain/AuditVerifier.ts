/**
 * Verifies the hash chain of an audit log (`AuditChain`) from its lines, oldest first. Finds
 * edited lines, missing entries and a torn last line. Lines of another program are accepted:
 * the next chained entry covers them.
 */
import * as Option from "effect/Option"
import { createHash, type Hash } from "node:crypto"
import { type ChainedEntry, decodeChainedEntry, sha256 } from "./AuditChain.ts"
import { decodeEntry } from "./AuditEntry.ts"

export interface AuditFinding {
  readonly kind: "edited" | "gap" | "truncated" | "torn"
  /** Where it was detected. */
  readonly file: string
  readonly line: number
  readonly message: string
}

/** The last acknowledged entry and the first entry that rotation kept; undefined if unknown. */
export type AcknowledgedHead = { readonly seq: number; readonly hash: string; readonly first: number } | undefined

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
  readonly findings: ReadonlyArray<AuditFinding>
}

export class AuditVerifier {
  private readonly acknowledged: AcknowledgedHead
  private readonly findings: Array<AuditFinding> = []
  private readonly here = { file: "", line: 0 }
  private entries = 0
  private unchained = 0
  /** The number of lines outside the chain since the last chained entry. */
  private foreign = 0
  private first = 0
  private last = 0
  /** The location of the last chained entry. */
  private place = { file: "", line: 0 }
  private hash = ""
  private pending: Hash = createHash("sha256")
  private torn = 0

  constructor(acknowledged: AcknowledgedHead) {
    this.acknowledged = acknowledged
  }

  /** Starts the next file. */
  beginFile(name: string): void {
    this.here.file = name
    this.here.line = 0
    if (this.first === 0) this.pending = createHash("sha256")
  }

  /** Adds a complete line, including its line feed. */
  add(bytes: Uint8Array): void {
    this.here.line += 1
    const text = Buffer.from(bytes).toString("utf8", 0, bytes.length - 1)
    const entry = Option.getOrUndefined(decodeChainedEntry(text))
    if (entry === undefined) {
      if (this.first > 0 && Option.isNone(decodeEntry(text))) this.find("edited", "the line is not an audit entry")
      this.unchained += 1
      this.foreign += 1
      this.pending.update(bytes)
      return
    }
    const before = this.pending.digest("hex")
    if (this.first === 0) this.begin(entry, before)
    else this.follow(entry, before)
    this.pending = createHash("sha256").update(bytes)
    this.hash = sha256(bytes)
    this.last = entry.seq
    this.place = { ...this.here }
    this.entries += 1
    this.foreign = 0
    if (entry.seq === this.acknowledged?.seq && this.hash !== this.acknowledged.hash) {
      this.find("edited", `entry ${entry.seq} is not the one that was acknowledged`)
    }
  }

  /** Reports bytes after the last line feed of the last file. */
  tear(bytes: number): void {
    this.torn = bytes
    if (bytes > 0) this.here.line += 1
  }

  end(): AuditVerdict {
    const [from, to] = [this.last + 1, this.acknowledged?.seq ?? 0]
    const missing = to - this.last
    const wasWhole = this.torn > 0 && missing === 1 ? `; it was entry ${to}, which had been acknowledged` : ""
    if (this.torn > 0) this.find("torn", `the last line is cut off after ${this.torn} bytes${wasWhole}`)
    if (missing > 0 && wasWhole === "") {
      if (this.foreign >= missing) this.find("edited", `${these(from, to)} not as written`)
      else this.find("truncated", `${these(from, to)} missing at the end`)
    }
    const { entries, findings, first, hash, last, unchained } = this
    return { entries, unchained, first, last, hash, findings }
  }

  private begin(entry: ChainedEntry, before: string): void {
    this.first = entry.seq
    const kept = this.acknowledged?.first ?? entry.seq
    if (entry.seq > kept) this.find("gap", `${these(kept, entry.seq - 1)} missing at the beginning`)
    if (entry.seq === 1 && entry.prev !== before) {
      this.find("edited", "the lines before entry 1 have changed since it was written")
    }
  }

  private follow(entry: ChainedEntry, before: string): void {
    const missing = entry.seq - this.last - 1
    if (missing < 0) this.find("edited", `entry ${entry.seq} follows entry ${this.last}`)
    else if (missing > 0 && this.foreign >= missing) {
      this.find("edited", `${these(this.last + 1, entry.seq - 1)} not as written`)
    } else if (missing > 0) this.find("gap", `${these(this.last + 1, entry.seq - 1)} missing`)
    else if (entry.prev !== before) {
      if (this.foreign === 0) this.find("edited", `entry ${this.last} is not as written`, this.place)
      else this.find("edited", `something between entry ${this.last} and entry ${entry.seq} is not as written`)
    }
  }

  private find(kind: AuditFinding["kind"], message: string, { file, line } = this.here): void {
    this.findings.push({ kind, file, line, message })
  }
}

const these = (from: number, to: number): string => (from === to ? `entry ${from} is` : `entries ${from} to ${to} are`)
