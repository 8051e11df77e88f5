/**
 * A stress scenario: the promise it tests, and the result. Every choice comes from a
 * seeded generator, so a seed repeats the run.
 */
import type { Random } from "../support/random.ts"

export interface Scenario {
  /** The promise in one line. */
  readonly promise: string
  /** The number of rounds unless ROUNDS sets another. */
  readonly rounds: number
  readonly run: (options: ScenarioOptions) => Promise<ReadonlyArray<Row>>
}

export interface ScenarioOptions {
  readonly rounds: number
  readonly random: Random
  /** Reports progress and every failure. */
  readonly log: (line: string) => void
}

/** One line of the result table. */
export interface Row {
  readonly what: string
  readonly tried: number
  /** How often the promise did not hold. */
  readonly failed: number
  /** Measurements, such as "p99 12 ms, 88 MiB". */
  readonly stats?: string
}
