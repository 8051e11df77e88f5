/**
 * Waits for a condition, however long the machine takes. The limit is for hangs alone.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** Reads again and again until the value is the expected one, and returns it. */
export const eventually = <A, E, R>(read: Effect.Effect<A, E, R>, isExpected: (found: A) => boolean) =>
  Effect.repeat(read, { until: isExpected, schedule: Schedule.spaced("5 millis") }).pipe(Effect.timeout("2 minutes"))

/** Waits until a condition holds. */
export const until = (holds: () => boolean) => eventually(Effect.sync(holds), Boolean)

/** Waits until the reply of another process is yes. */
export const untilTrue = <E, R>(holds: Effect.Effect<boolean, E, R>) => eventually(holds, Boolean)
