/**
 * The findings of a scan: place and type of a secret, never the secret itself.
 *
 * A fingerprint, a truncated hash, tells findings apart. Secrets that could be guessed from
 * it have none.
 */
import { type SecretMatch, type Severity, findPatterns } from "../../../domain/secretPatterns.ts"
import type { Window } from "./Windows.ts"

export interface ScanFinding {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly severity: Severity
  /** For programs. */
  readonly type: string
  /** For people. */
  readonly what: string
  /** Equal for equal secrets. */
  readonly fingerprint?: string | undefined
  /** The name of the secret, for a value of the store. */
  readonly secret_name?: string
}

/** A line that contains this is not reported. */
export const allowMarker = "secrets-scan:allow"

/** The marker is searched this far from a match: a line can be as long as its file. */
const maxDistance = 4096

export const isAllowed = ({ bytes }: Window, start: number, end: number): boolean => {
  const before = bytes.subarray(Math.max(0, start - maxDistance), start)
  const after = bytes.subarray(end, end + maxDistance)
  const lineEnd = after.indexOf(0x0a)
  return (
    before.subarray(before.lastIndexOf(0x0a) + 1).includes(allowMarker) ||
    after.subarray(0, lineEnd === -1 ? after.length : lineEnd).includes(allowMarker)
  )
}

/** Detects a binary file as git does: by a NUL near the beginning. */
export const isBinary = ({ bytes, isFirst }: Window): boolean => isFirst && bytes.subarray(0, 8000).includes(0)

/** Returns the findings of known patterns in a window. */
export const matchPatterns = (file: string, window: Window): ReadonlyArray<ScanFinding> => {
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

/** Loads node:crypto, which is slow, only for a finding. */
const fingerprintOf = ({ bytes }: Window, { end, hardToGuess, start }: SecretMatch): string | undefined =>
  hardToGuess
    ? process.getBuiltinModule("node:crypto").hash("sha256", bytes.subarray(start, end), "hex").slice(0, 12)
    : undefined
