/**
 * Jumps for the search of many byte strings, after Wu and Manber: two bytes determine how much later, at the earliest, a
 * string can begin. Where most bytes begin no string, the search reads few of them. It finds every place where a string
 * begins, and others; the caller compares.
 */

/** A longer window allows longer jumps, but more pairs of bytes end them. */
const maxWindow = 32
/** In a shorter window, jumps are slower than reading each byte. */
const minWindow = 4

export interface WindowShifts {
  /** How many bytes of each string are considered. */
  readonly window: number
  /** By the last two bytes of a window: how many places after its begin no string begins. */
  readonly shifts: Uint8Array
}

/** Returns the jumps for these strings; undefined if one of them is too short for any. */
export const windowShifts = (strings: ReadonlyArray<Uint8Array>): WindowShifts | undefined => {
  const window = strings.reduce((least, { length }) => Math.min(least, length), maxWindow)
  if (window < minWindow) return undefined
  const shifts = new Uint8Array(0x1_00_00).fill(window - 1)
  for (const bytes of strings) {
    for (let last = 1; last < window; last += 1) {
      const pair = ((bytes[last - 1] ?? 0) << 8) | (bytes[last] ?? 0)
      shifts[pair] = Math.min(shifts[pair] ?? 0, window - 1 - last)
    }
  }
  return { window, shifts }
}

/** Returns the first place, not before `from`, where a string may begin. A window that is cut off by the end may begin one. */
export const possibleStart = ({ shifts, window }: WindowShifts, bytes: Uint8Array, from: number): number => {
  let last = from + window - 1
  while (last < bytes.length) {
    const shift = shifts[((bytes[last - 1] ?? 0) << 8) | (bytes[last] ?? 0)] ?? 0
    if (shift === 0) break
    last += shift
  }
  return Math.min(last - window + 1, bytes.length)
}
