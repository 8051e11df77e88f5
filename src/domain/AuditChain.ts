/**
 * The hash chain of the audit log. Every entry carries its number and a hash over the bytes
 * before it, so edits, gaps and truncation are detected.
 *
 * `prev` is the SHA-256 of the bytes from the previous chained entry up to this one, lines of
 * other programs included. For the first entry it covers everything before it in its file.
 * The hash has no key: an attacker can recompute the chain.
 */
import * as Option from "effect/Option"
import { hash } from "node:crypto"
import { type AuditEntry, type AuditFact, decodeEntry, encodeEntry } from "./AuditEntry.ts"
import type { Timestamp } from "./Timestamp.ts"

/** The end of the chain, which the next entry continues. */
export interface ChainHead {
  /** The number of the last chained entry; 0 before the first. */
  readonly seq: number
  /** The `prev` of the next entry, in hexadecimal. */
  readonly hash: string
}

/** Larger numbers are those of corrupted files. */
export const maxEntryNumber = 2 ** 50

export const sha256 = (data: string | Uint8Array): string => hash("sha256", data, "hex")

/** The head of an empty log. */
export const genesis: ChainHead = { seq: 0, hash: sha256("") }

/** Encodes facts as lines that continue the chain, and returns the new head. */
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

/** Decodes a line of the chain; none for any other line. */
export const decodeChainedEntry = (line: string): Option.Option<ChainedEntry> =>
  // The search is much cheaper than decoding every line of a long unchained log.
  line.includes('"prev":') ? Option.filter(decodeEntry(line), isChained) : Option.none()
