/**
 * Counts the tries of one promise, and logs the first ones that failed.
 */
import type { Row } from "../Scenario.ts"

export class Tally {
  private tried = 0
  private failed = 0
  private readonly what: string
  private readonly log: (line: string) => void

  constructor(what: string, log: (line: string) => void) {
    this.what = what
    this.log = log
  }

  /** `fault` is logged unless the promise holds. */
  check(holds: boolean, fault: () => string): void {
    this.tried += 1
    if (holds) return
    this.failed += 1
    if (this.failed <= 5) this.log(`${this.what}: ${fault()}`)
  }

  row(stats?: string): Row {
    const { failed, tried, what } = this
    return stats === undefined ? { what, tried, failed } : { what, tried, failed, stats }
  }
}
