/**
 * An attack: what it tries to break, and what came of it. The choices of an attack
 * come from its generator, so that a seed repeats it.
 */

export interface Attack {
  /** What is to hold, in one line. */
  readonly promise: string
  /** How many rounds where ROUNDS does not say. */
  readonly rounds: number
  readonly run: (options: AttackOptions) => Promise<ReadonlyArray<Row>>
}

export interface AttackOptions {
  readonly rounds: number
  readonly random: Random
  /** Hears how it goes. */
  readonly tell: (line: string) => void
}

/** One line of the table. */
export interface Row {
  readonly what: string
  readonly tried: number
  /** How often the promise did not hold. */
  readonly lost: number
  /** Measured things worth knowing, such as "p99 12 ms, 88 MiB". */
  readonly figures?: string
}

export interface Random {
  /** At least 0 and below 1. */
  readonly next: () => number
  /** A whole number of at least 0 and below `end`. */
  readonly below: (end: number) => number
  readonly pick: <A>(choices: ReadonlyArray<A>) => A
}

/** Mulberry32: small, and good enough to choose what to break next. */
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
