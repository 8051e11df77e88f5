/**
 * Detects steps of the wall clock, by comparing it with the monotonic clock.
 *
 * A clock that is set back would extend every lease, so the caller moves their expiry back
 * too. One that is set forward ends leases early, which is only recorded. Small deviations
 * add up until they count as a step.
 */
/** Clocks that are slewed deviate by less than this. */
const minStep = 1_000
/** Steps forward below this are not recorded, because they end a lease only a little early. */
const minForwardStep = 60_000

export interface ClockStep {
  /** Milliseconds by which the wall clock was set since the last check; negative if it was set back. */
  readonly millis: number
  /** Makes the next check detect this step again, because it could not be recorded. */
  readonly forget: () => void
}

export class ClockStepDetector {
  /** How far the wall clock was ahead of the monotonic clock at the last step. */
  private ahead: number

  /** Takes both clocks in milliseconds; `monotonic` may start anywhere. */
  constructor(wall: number, monotonic: number) {
    this.ahead = wall - monotonic
  }

  detect(wall: number, monotonic: number): ClockStep | undefined {
    const before = this.ahead
    const millis = Math.round(wall - monotonic - before)
    if (millis > -minStep && millis <= 0) return undefined
    this.ahead = wall - monotonic
    if (millis > 0 && millis < minForwardStep) return undefined
    return { millis, forget: () => void (this.ahead = before) }
  }
}

/** Returns the step back that happened while no daemon ran, judged by the time of the last audit entry. */
export const clockStepSince = (lastEntry: number, wall: number): number | undefined =>
  wall <= lastEntry - minStep ? wall - lastEntry : undefined
