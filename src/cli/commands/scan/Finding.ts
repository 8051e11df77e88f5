/**
 * What a scan finds: where, and what kind of secret. Never the secret: all that is
 * shown of one is a digest, to tell it from others, and that only where it could not
 * be guessed back.
 */
import { createHash } from "node:crypto"
import type { SecretMatch, Severity } from "../../../domain/secretPatterns.ts"
import { findPatterns } from "../../../domain/secretPatterns.ts"
import type { Window } from "./Windows.ts"

export interface ScanFinding {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly severity: Severity
  /** The word for programs. */
  readonly type: string
  /** For people. */
  readonly what: string
  /** The same for the same secret, wherever it is found. */
  readonly fingerprint?: string | undefined
  /** Of the store's own values: whose it is. */
  readonly secret_name?: string
}

/** A line with this in it is not reported, in whatever comment its file has. */
export const allowMarker = "secrets-scan:allow"

/** How far from a match the mark is looked for: a line can be as long as a file. */
const lineReach = 4096

export const isAllowed = ({ bytes }: Window, start: number, end: number): boolean => {
  const before = bytes.subarray(Math.max(0, start - lineReach), start)
  const after = bytes.subarray(end, end + lineReach)
  const lineEnd = after.indexOf(0x0a)
  return (
    before.subarray(before.lastIndexOf(0x0a) + 1).includes(allowMarker) ||
    after.subarray(0, lineEnd === -1 ? after.length : lineEnd).includes(allowMarker)
  )
}

/** As git has it: nobody can read what has a NUL near its beginning. */
export const isBinary = ({ bytes, isFirst }: Window): boolean => isFirst && bytes.subarray(0, 8000).includes(0)

/** What of a window looks like a secret. */
export const patternsIn = (file: string, window: Window): ReadonlyArray<ScanFinding> => {
  const text = window.bytes.toString("latin1")
  return findPatterns(text)
    .filter(({ end, start }) => start >= window.from && start < window.to && !isAllowed(window, start, end))
    .map((match) => ({
      file,
      ...window.positionOf(match.start),
      severity: match.severity,
      type: match.type,
      what: match.what,
      fingerprint: fingerprintOf(window, match)
    }))
}

const fingerprintOf = ({ bytes }: Window, { end, hardToGuess, start }: SecretMatch): string | undefined =>
  hardToGuess ? createHash("sha256").update(bytes.subarray(start, end)).digest("hex").slice(0, 12) : undefined
