/**
 * The wall clock, watched by the one that only runs forwards.
 *
 * Leases end by the wall clock, which people and time servers set. When it is set
 * back, a lease would live longer than it was granted for; so its end is moved back
 * by the same step. When it is set forward, or the machine slept, leases end the
 * earlier, and nothing is done. Small deviations add up until they are a step.
 */

/** A step below this is left alone, as clocks that are slewed wander by less. */
const minStep = 1_000
/** Forward, it is worth an entry from here on; it harms nobody but those who wonder why a lease is over. */
const worthTelling = 60_000

/** Milliseconds by which the wall clock was set since the last look; negative is back. */
export interface ClockStep {
  readonly millis: number
  /** Takes the step as not seen, for one that could not be recorded. */
  readonly forget: () => void
}

export class ClockStepDetector {
  /** What the wall clock was ahead of the other one, at the most. */
  private ahead: number

  /** Both in milliseconds; `monotonic` from any beginning. */
  constructor(wall: number, monotonic: number) {
    this.ahead = wall - monotonic
  }

  detect(wall: number, monotonic: number): ClockStep | undefined {
    const before = this.ahead
    const millis = Math.round(wall - monotonic - before)
    if (millis > -minStep && millis <= 0) return undefined
    this.ahead = wall - monotonic
    if (millis > 0 && millis < worthTelling) return undefined
    return { millis, forget: () => void (this.ahead = before) }
  }
}

/** The step that the clock made while no daemon looked, told by the time of the last entry of the log. */
export const clockStepSince = (lastEntry: number, wall: number): number | undefined =>
  wall <= lastEntry - minStep ? wall - lastEntry : undefined
