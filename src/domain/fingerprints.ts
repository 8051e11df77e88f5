/**
 * Marks of values: enough to see where in a text a value may be, and not the value.
 *
 * A mark is the length of a form of a value and 24 bits each about eight bytes in its
 * middle and eight at its end, under a multiplier chosen anew for each scan. Whoever
 * has the marks finds places that are nearly always right, and has somebody who knows
 * the values say whether they are. It is no protection of a value that can be guessed.
 */
import { searchVariants } from "./searchVariants.ts"

export interface Fingerprint {
  readonly length: number
  readonly middle: number
  readonly end: number
}

/** How many bytes a mark is about: no form is shorter. */
const span = 8
const bits = 24

/** The sum of the bytes, each times a power of the multiplier: from one place to the next in one step. */
const digest = (bytes: Uint8Array, at: number, multiplier: number): number => {
  let sum = 0
  for (let n = at; n < at + span; n += 1) sum = (Math.imul(sum, multiplier) + (bytes[n] ?? 0)) | 0
  return sum >>> (32 - bits)
}

const middleOf = (length: number): number => Math.floor((length - span) / 2)

/** Any whole number is a multiplier; an even one would forget the bytes farthest back. */
export const multiplierFrom = (random: number): number => random | 1

/** The marks of a value, none if it is too short. */
export const fingerprintsOf = (value: string, multiplier: number): ReadonlyArray<Fingerprint> =>
  searchVariants(value).map((form) => ({
    length: form.length,
    middle: digest(form, middleOf(form.length), multiplier),
    end: digest(form, form.length - span, multiplier)
  }))

export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** Gives the places of `bytes` that have a mark, in the order of their middles. */
export type FingerprintMatcher = (bytes: Uint8Array) => ReadonlyArray<ByteRange>

export const matcherOf = (marks: ReadonlyArray<Fingerprint>, multiplier: number): FingerprintMatcher => {
  if (marks.length === 0) return () => []
  const byMiddle = Map.groupBy(marks, ({ middle }) => middle)
  // What nearly every byte is asked has to be small enough for the processor's cache.
  const coarse = new Uint8Array(1 << 16)
  for (const { middle } of marks) coarse[middle >>> (bits - 16)] = 1
  let power = 1
  for (let n = 0; n < span; n += 1) power = Math.imul(power, multiplier)
  const leaving = Int32Array.from({ length: 256 }, (_, byte) => Math.imul(byte, power))

  return (bytes) => {
    const places: Array<ByteRange> = []
    let sum = 0
    for (let n = 0; n < bytes.length; n += 1) {
      sum = (Math.imul(sum, multiplier) + (bytes[n] ?? 0) - (n < span ? 0 : (leaving[bytes[n - span] ?? 0] ?? 0))) | 0
      if (coarse[sum >>> 16] === 0 || n < span - 1) continue
      for (const { end, length } of byMiddle.get(sum >>> (32 - bits)) ?? []) {
        const start = n + 1 - span - middleOf(length)
        if (start < 0 || start + length > bytes.length) continue
        if (digest(bytes, start + length - span, multiplier) === end) places.push({ start, end: start + length })
      }
    }
    return places
  }
}
