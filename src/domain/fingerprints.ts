/**
 * Fingerprints of values: enough to find where a value may be in a text, but not the value.
 *
 * A fingerprint is the length of a variant and two 24-bit rolling hashes (Rabin-Karp): of the
 * eight bytes in its middle and of the last eight. The multiplier changes with the day.
 * Matches are nearly always right; the daemon, which has the values, confirms them.
 * Fingerprints do not protect a value that can be guessed.
 */
import { searchVariants } from "./variants.ts"

export interface Fingerprint {
  readonly length: number
  readonly middle: number
  readonly end: number
}

/** The bytes that a hash covers; no variant is shorter. */
const span = 8
const bits = 24

/** Computes the polynomial hash that `matcherOf` rolls from byte to byte. */
const digest = (bytes: Uint8Array, at: number, multiplier: number): number => {
  let sum = 0
  for (let n = at; n < at + span; n += 1) sum = (Math.imul(sum, multiplier) + (bytes[n] ?? 0)) | 0
  return sum >>> (32 - bits)
}

const middleOf = (length: number): number => Math.floor((length - span) / 2)

/** Makes a multiplier odd: an even one would lose the first bytes. */
export const multiplierFrom = (random: number): number => random | 1

/** Returns the fingerprints of a value; none if it is too short. */
export const fingerprintsOf = (value: string, multiplier: number): ReadonlyArray<Fingerprint> =>
  searchVariants(value).map((variant) => ({
    length: variant.length,
    middle: digest(variant, middleOf(variant.length), multiplier),
    end: digest(variant, variant.length - span, multiplier)
  }))

export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** Returns the ranges of `bytes` that match a fingerprint, in the order of their middles. */
export type FingerprintMatcher = (bytes: Uint8Array) => ReadonlyArray<ByteRange>

export const matcherOf = (fingerprints: ReadonlyArray<Fingerprint>, multiplier: number): FingerprintMatcher => {
  if (fingerprints.length === 0) return () => []
  const byMiddle = Map.groupBy(fingerprints, ({ middle }) => middle)
  // Almost every byte is looked up here, so the table must fit into the cache of the processor.
  const coarse = new Uint8Array(1 << 16)
  for (const { middle } of fingerprints) coarse[middle >>> (bits - 16)] = 1
  let power = 1
  for (let n = 0; n < span; n += 1) power = Math.imul(power, multiplier)
  const leaving = Int32Array.from({ length: 256 }, (_, byte) => Math.imul(byte, power))

  return (bytes) => {
    const ranges: Array<ByteRange> = []
    let sum = 0
    for (let n = 0; n < bytes.length; n += 1) {
      sum = (Math.imul(sum, multiplier) + (bytes[n] ?? 0) - (n < span ? 0 : (leaving[bytes[n - span] ?? 0] ?? 0))) | 0
      if (coarse[sum >>> 16] === 0 || n < span - 1) continue
      for (const { end, length } of byMiddle.get(sum >>> (32 - bits)) ?? []) {
        const start = n + 1 - span - middleOf(length)
        if (start < 0 || start + length > bytes.length) continue
        if (digest(bytes, start + length - span, multiplier) === end) ranges.push({ start, end: start + length })
      }
    }
    return ranges
  }
}
