/**
 * Ends that are promised at a time of the wall clock, while timers stand still in a sleep of the machine.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { sleepFor, sleepUntil } from "../../src/process/sleepUntil.ts"

/** Runs a sleep under a wall clock that may be ahead of the timers; records the length of its naps in seconds. */
const begin = Effect.fnUntraced(function* (sleep: Effect.Effect<void>) {
  const clock = yield* Clock.clockWith(Effect.succeed)
  const naps: Array<number> = []
  const wall = { ahead: 0 }
  const fiber = yield* Effect.forkChild(
    Effect.provideService(sleep, Clock.Clock, {
      ...clock,
      currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis + wall.ahead),
      sleep: (duration) => {
        naps.push(Duration.toSeconds(duration))
        return clock.sleep(duration)
      }
    })
  )
  const isOver = () => fiber.pollUnsafe() !== undefined
  return { isOver, naps, wall, stop: Fiber.interrupt(fiber) }
})

describe("a sleep until a time", () => {
  it.effect("takes naps of at most five seconds and ends on time", () =>
    Effect.gen(function* () {
      const { isOver, naps } = yield* begin(sleepUntil(12_500))
      yield* TestClock.adjust("12499 millis")
      assert.isFalse(isOver())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isOver())
      assert.deepStrictEqual(naps, [5, 5, 2.5])
    })
  )

  it.effect("ends within five seconds after the machine slept past that time", () =>
    Effect.gen(function* () {
      const { isOver, wall } = yield* begin(sleepUntil(3_600_000))
      yield* TestClock.adjust("6 seconds")
      wall.ahead = 3_600_000
      assert.isFalse(isOver())
      yield* TestClock.adjust("4 seconds")
      assert.isTrue(isOver())
    })
  )

  it.effect("is not longer if the clock is set back", () =>
    Effect.gen(function* () {
      const { isOver, wall } = yield* begin(sleepUntil(20_000))
      yield* TestClock.adjust("6 seconds")
      wall.ahead = -3_600_000
      yield* TestClock.adjust("13999 millis")
      assert.isFalse(isOver())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isOver())
    })
  )

  it.effect("is over at once if that time has passed", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const { naps } = yield* begin(sleepUntil(1_000))
      yield* Effect.yieldNow
      assert.deepStrictEqual(naps, [])
    })
  )
})

describe("a sleep for a time", () => {
  it.effect("counts the time that the machine sleeps", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      const { isOver, wall } = yield* begin(sleepFor("1 hour"))
      yield* TestClock.adjust("59 minutes")
      assert.isFalse(isOver())
      wall.ahead = 61_000
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(isOver())
    })
  )
})
