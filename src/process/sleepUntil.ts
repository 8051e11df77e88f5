/**
 * Sleeps until a time of the wall clock, in naps: a timer does not count the time that the machine
 * sleeps, so a long one would end late by all of it.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** How late an end can be after the machine has woken up. */
export const longestNap = Duration.seconds(5)

/**
 * Sleeps until `due`, in milliseconds since the epoch. A clock that is set back during the sleep does not make it longer.
 * `afterNap` runs after each nap.
 */
export const sleepUntil = Effect.fnUntraced(function* (due: number, afterNap: Effect.Effect<void> = Effect.void) {
  const monotonic = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
  const end = (yield* monotonic) + due - (yield* Clock.currentTimeMillis)
  while (true) {
    const left = Math.min(due - (yield* Clock.currentTimeMillis), end - (yield* monotonic))
    if (left <= 0) return
    yield* Effect.sleep(Duration.min(Duration.millis(left), longestNap))
    yield* afterNap
  }
})

/** Sleeps for this long, the time included that the machine sleeps. */
export const sleepFor = (duration: Duration.Input): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => sleepUntil(now + Duration.toMillis(duration)))
