/**
 * The chain through the audit log: every entry carries its number and a hash over
 * what stands before it, so that an edit, a gap or a cut can be told.
 *
 * `prev` is the SHA-256 of the bytes from the start of the chained entry before to
 * the start of this one, line feeds included: that entry, and whatever another
 * program wrote behind it. For the first entry it is all that stands before it in
 * its file, so entries of the predecessor are sealed by the first one of ours. The
 * hash has no key: it shows damage and careless hands, not one who computes it anew.
 */
import * as Option from "effect/Option"
import { hash } from "node:crypto"
import type { AuditEntry, AuditFact } from "./AuditEntry.ts"
import { decodeEntry, encodeEntry } from "./AuditEntry.ts"
import type { Timestamp } from "./Timestamp.ts"

/** The end of the chain: what the next entry continues. */
export interface ChainHead {
  /** The number of the last chained entry; 0 before the first. */
  readonly seq: number
  /** The `prev` of the next entry, in hexadecimal. */
  readonly hash: string
}

export const sha256 = (data: string | Uint8Array): string => hash("sha256", data, "hex")

/** Where no log is yet. */
export const genesis: ChainHead = { seq: 0, hash: sha256("") }

/** The lines for facts at a moment, each linked to the one before, and the head behind them. */
export const chainFacts = (facts: ReadonlyArray<AuditFact>, at: Timestamp, before: ChainHead) => {
  let head = before
  let text = ""
  for (const fact of facts) {
    const line = encodeEntry(fact, at, { seq: head.seq + 1, prev: head.hash })
    head = { seq: head.seq + 1, hash: sha256(line) }
    text += line
  }
  return { text, head }
}

export interface ChainedEntry extends AuditEntry {
  readonly seq: number
  readonly prev: string
}

export const isChained = (entry: AuditEntry): entry is ChainedEntry =>
  entry.seq !== undefined && entry.seq > 0 && entry.prev !== undefined

/** The entry of a line that is part of the chain; none for one of another program, or no entry at all. */
export const decodeChainedEntry = (line: string): Option.Option<ChainedEntry> =>
  // Looking for the name first spares most of the work over a long log of another program.
  line.includes('"prev":') ? Option.filter(decodeEntry(line), isChained) : Option.none()
