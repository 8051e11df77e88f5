/**
 * A seeded random generator, so that a failed run can be repeated.
 */
export interface Random {
  /** A number from 0 up to, but not including, 1. */
  readonly next: () => number
  /** An integer from 0 up to, but not including, `end`. */
  readonly below: (end: number) => number
  readonly pick: <A>(choices: ReadonlyArray<A>) => A
}

/** Returns a generator (Mulberry32). */
export const randomFrom = (seed: number): Random => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (end: number) => Math.floor(next() * end)
  const pick = <A>(choices: ReadonlyArray<A>): A => {
    const [chosen] = choices.slice(below(choices.length))
    if (chosen === undefined) throw new Error("nothing to pick from")
    return chosen
  }
  return { next, below, pick }
}

/** Changes one bit of some bytes. */
export const flipBit = (bytes: Buffer, random: Random): void => {
  const at = random.below(bytes.length)
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at)
}
