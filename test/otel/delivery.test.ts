/**
 * Delivery on TestClock: the rate limit, retries, backoff and shutdown. Also the event
 * queue and the sampling before it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { EmitFailed, type Envelope, startDelivery } from "../../src/otel/delivery.ts"
import { EventQueue } from "../../src/otel/EventQueue.ts"
import * as OtelEvent from "../../src/otel/OtelEvent.ts"
import { makeEventSampler } from "../../src/otel/OtelSink.ts"
import { cpuMillis } from "../support/cpuTime.ts"
import { event, offerNow } from "../support/event.ts"

const started = { ...event(0), action: "daemon.started", component: "daemon" } as const
const stopped = { ...event(0), action: "daemon.stopped", component: "daemon" } as const

/** A receiver that fails while `control.works` is false, and keeps what it receives. */
const fakeReceiver = () => {
  const attempts: Array<Envelope> = []
  const received: Array<Envelope> = []
  const lines: Array<string> = []
  const control = { works: true, target: "somewhere" as string | undefined }
  const start = startDelivery({
    kind: "joelclaw",
    deliver: (event) =>
      Effect.suspend(() => {
        attempts.push(event)
        if (!control.works) return Effect.fail(new EmitFailed({ reason: "not ok" }))
        received.push(event)
        return Effect.void
      }),
    target: () => control.target,
    ready: Effect.void
  }).pipe(
    Effect.map(({ offer, state }) => ({ emit: offerNow(offer), state })),
    Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]))
  )
  return { control, start, attempts, received, lines, actions: () => received.map(({ action }) => action) }
}

describe("delivery", () => {
  it.effect("sends events in order, each with an id and its time", () =>
    Effect.gen(function* () {
      const { received, start } = fakeReceiver()
      const { emit, state } = yield* start
      yield* TestClock.adjust("5 seconds")
      for (const n of [1, 2, 3]) yield* emit(event(n))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(
        received.map(({ metadata, source, timestamp }) => [metadata["n"], source, timestamp]),
        [1, 2, 3].map((n) => [n, "agent-secrets", 5_000])
      )
      assert.strictEqual(new Set(received.map(({ id }) => id)).size, 3)
      assert.deepInclude(yield* state, { sent: 3, dropped: 0, queued: 0, lastFailure: undefined })
    })
  )

  it.effect("sends a burst of thirty, then one every two seconds, and the rest on shutdown", () =>
    Effect.gen(function* () {
      const { received, start } = fakeReceiver()
      const scope = yield* Scope.make()
      const { emit } = yield* Scope.provide(start, scope)
      for (let n = 0; n < 50; n += 1) yield* emit(event(n))
      yield* TestClock.adjust("1999 millis")
      assert.lengthOf(received, 30)
      yield* TestClock.adjust("1 millis")
      assert.lengthOf(received, 31)
      yield* TestClock.adjust("6 seconds")
      assert.lengthOf(received, 34)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(
        received.map(({ metadata }) => metadata["n"]),
        Array.from({ length: 50 }, (_, n) => n)
      )
    })
  )

  it.effect("backs off exponentially, logs it once, and reports the dropped events after the next success", () =>
    Effect.gen(function* () {
      const { actions, received, control, lines, start, attempts } = fakeReceiver()
      const { emit, state } = yield* start
      control.works = false
      for (let n = 0; n < 20; n += 1) yield* emit(event(n))
      yield* TestClock.adjust(0)
      assert.strictEqual(attempts.length, 1)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(attempts.length, 3)
      assert.deepStrictEqual(lines, ["events: joelclaw fails (not ok); retrying with increasing pauses"])
      for (const pause of [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
        const before = attempts.length
        yield* TestClock.adjust(pause - 1)
        assert.strictEqual(attempts.length, before)
        yield* TestClock.adjust(1)
        assert.strictEqual(attempts.length, before + 1)
      }
      assert.strictEqual(lines.length, 1)
      assert.deepInclude(yield* state, { sent: 0, dropped: 11, queued: 9 })
      control.works = true
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(actions().indexOf("sink.dropped"), 1)
      assert.deepStrictEqual([received.length, received.at(1)?.metadata["count"]], [10, 11])
      assert.deepStrictEqual(lines.slice(1), ["events: joelclaw works again"])
      yield* emit(event(99))
      yield* TestClock.adjust(0)
      assert.strictEqual(actions().filter((action) => action === "sink.dropped").length, 1)
    })
  )

  it.effect("retries daemon.started for a minute with the same id, then drops it", () =>
    Effect.gen(function* () {
      const { control, start, attempts } = fakeReceiver()
      const { emit, state } = yield* start
      control.works = false
      yield* emit(started)
      yield* TestClock.adjust("59 seconds")
      assert.isAbove(attempts.length, 4)
      assert.strictEqual(new Set(attempts.map(({ id, timestamp }) => `${id} ${timestamp}`)).size, 1)
      assert.deepInclude(yield* state, { dropped: 0, queued: 1 })
      yield* TestClock.adjust("5 minutes")
      const soFar = attempts.length
      assert.deepInclude(yield* state, { dropped: 1, queued: 0 })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(attempts.length, soFar)
    })
  )

  it.effect("queues only the daemon's own events while there is no receiver", () =>
    Effect.gen(function* () {
      const { control, start } = fakeReceiver()
      control.target = undefined
      const { emit, state } = yield* start
      control.works = false
      yield* emit(event(1))
      assert.deepInclude(yield* state, { queued: 0, dropped: 0 })
    })
  )

  it.effect("sends all but debug events on shutdown, without pauses", () =>
    Effect.gen(function* () {
      const { actions, control, start } = fakeReceiver()
      const scope = yield* Scope.make()
      const { emit } = yield* Scope.provide(start, scope)
      control.works = false
      yield* emit(event(1))
      yield* TestClock.adjust(0)
      control.works = true
      yield* emit({ ...event(2), level: "debug" })
      yield* emit(stopped)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(actions(), ["daemon.stopped", "sink.dropped"])
    })
  )

  /** A receiver that takes as long as `takes` says, and the scope to close. */
  const slowReceiver = Effect.fnUntraced(function* (takes: () => number) {
    const arrived: Array<Envelope> = []
    const scope = yield* Scope.make()
    const { offer, state } = yield* startDelivery({
      kind: "joelclaw",
      deliver: (event) =>
        Effect.suspend(() =>
          Effect.delay(
            Effect.sync(() => void arrived.push(event)),
            takes()
          )
        ),
      target: () => "somewhere",
      ready: Effect.void
    }).pipe(Scope.provide(scope))
    const close = Effect.forkChild(Scope.close(scope, Exit.void))
    return { actions: () => arrived.map(({ action }) => action), arrived, close, emit: offerNow(offer), state }
  })

  it.effect("on shutdown sends daemon.stopped at once, then how many were dropped, then what is queued", () =>
    Effect.gen(function* () {
      const { actions, arrived, close, emit, state } = yield* slowReceiver(() => 400)
      yield* emit(event(0))
      yield* TestClock.adjust(0)
      for (let n = 1; n <= 300; n += 1) yield* emit(event(n))
      yield* emit(stopped)
      assert.deepInclude(yield* state, { queued: 256, dropped: 44 })
      const closing = yield* close
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(actions(), ["lease.replaced", "daemon.stopped", "sink.dropped"])
      assert.deepStrictEqual(arrived.at(1)?.metadata, { n: 0, eventsNotSent: 300 })
      assert.deepStrictEqual(arrived.at(2)?.metadata, { count: 44 })
    })
  )

  it.effect("reports what a flood has dropped before the events that wait, at most once a minute", () =>
    Effect.gen(function* () {
      const { arrived, emit, state } = yield* slowReceiver(() => 500)
      for (let n = 0; n < 2576; n += 1) {
        yield* emit(event(n))
        if (n % 43 === 42) yield* TestClock.adjust("1 second")
      }
      yield* TestClock.adjust("12 seconds")
      const reports = arrived.filter(({ action }) => action === "sink.dropped")
      const reported = reports.reduce((sum, { metadata }) => sum + Number(metadata["count"]), 0)
      assert.lengthOf(reports, 2)
      assert.isAbove(reports[0]?.timestamp ?? 0, 0)
      assert.isAtLeast((reports[1]?.timestamp ?? 0) - (reports[0]?.timestamp ?? 0), 60_000)
      assert.strictEqual(reported, (yield* state).dropped)
    })
  )

  for (const [what, first, limit] of [
    ["works", 500, 2500],
    ["was never tried", undefined, 1500]
  ] as const) {
    it.effect(`on shutdown gives daemon.stopped ${limit} ms if the receiver ${what}`, () =>
      Effect.gen(function* () {
        for (const [takes, arrives] of [
          [limit - 1, ["daemon.stopped"]],
          [limit + 1, []]
        ] as const) {
          let millis: number = first ?? takes
          const { arrived, close, emit } = yield* slowReceiver(() => millis)
          if (first !== undefined) yield* emit(event(0))
          yield* TestClock.adjust("1 second")
          arrived.length = 0
          millis = takes
          // Another event is being sent, which takes as long.
          yield* emit(event(1))
          yield* TestClock.adjust(1)
          yield* emit(stopped)
          const closing = yield* close
          yield* TestClock.adjust(limit)
          yield* Fiber.join(closing)
          assert.deepStrictEqual(
            arrived.map(({ action }) => action).filter((action) => action === "daemon.stopped"),
            [...arrives]
          )
        }
      })
    )
  }

  it.effect("waits on shutdown for the event that is being sent, at most a second", () =>
    Effect.gen(function* () {
      for (const [takes, arrives] of [
        [999, ["lease.replaced"]],
        [1001, []]
      ] as const) {
        const { actions, close, emit } = yield* slowReceiver(() => takes)
        yield* emit(event(1))
        yield* TestClock.adjust(0)
        const closing = yield* close
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(closing)
        assert.deepStrictEqual(actions(), [...arrives])
      }
    })
  )
})

describe("the event queue", () => {
  const item = (n: number, level: "debug" | "info" = "info") => ({ n, level })

  it("drops the oldest debug event first, and the oldest event if there is no debug event", () => {
    const queue = new EventQueue<ReturnType<typeof item>>(3)
    for (const one of [item(1), item(2, "debug"), item(3, "debug"), item(4)]) queue.offer(one)
    queue.offer(item(5))
    queue.offer(item(6, "debug"))
    queue.offer(item(7))
    const remaining = Array.from({ length: queue.size }, () => Effect.runSync(queue.take).n)
    assert.deepStrictEqual([remaining, queue.dropped], [[4, 5, 7], 4])
  })

  it("does not exceed its capacity", () => {
    const queue = new EventQueue<ReturnType<typeof item>>(256)
    for (let n = 0; n < 100_000; n += 1) queue.offer(item(n, n % 3 === 0 ? "debug" : "info"))
    assert.deepStrictEqual([queue.size, queue.dropped], [256, 100_000 - 256])
  })

  it("returns events in order, and first those that were put back", () => {
    const queue = new EventQueue<ReturnType<typeof item>>(256)
    const order = [1, 2, 3, 4, 5, 6].map((n) => item(n, n % 2 === 0 ? "debug" : "info"))
    for (const one of order) queue.offer(one)
    const first = Effect.runSync(queue.take)
    const second = Effect.runSync(queue.take)
    queue.offerFirst(second)
    queue.offerFirst(first)
    queue.keepOnly(({ n }) => n !== 3)
    const remaining = Array.from({ length: queue.size }, () => Effect.runSync(queue.take).n)
    assert.deepStrictEqual(remaining, [1, 2, 4, 5, 6])
  })

  it("accepts an event in constant time when it is full of events that are not debug", () => {
    const timeOf = (capacity: number) => {
      const queue = new EventQueue<ReturnType<typeof item>>(capacity)
      for (let n = 0; n < capacity; n += 1) queue.offer(item(n))
      return cpuMillis(() => {
        for (let n = 0; n < 10_000; n += 1) queue.offer(item(n))
      })
    }
    timeOf(100_000)
    // A scan, or moving the elements, would be a thousand times as slow.
    assert.isBelow(timeOf(100_000), 200 * Math.max(1, timeOf(100)))
  })
})

describe("event sampling", () => {
  const at = (level: OtelEvent.OtelEvent["level"], action = "a") => ({ ...event(0), level, action })

  it("skips events below the level, and counts them in the next event", () => {
    const sample = makeEventSampler({ minLevel: "info", debugPerMinute: 12 })
    assert.isUndefined(sample(at("debug"), 0))
    assert.isUndefined(sample(at("debug"), 0))
    assert.deepStrictEqual(sample(at("info"), 0)?.metadata, { n: 0, notSent: 2 })
    assert.deepStrictEqual(sample(at("error"), 0)?.metadata, { n: 0 })
  })

  it("limits the debug events of an action per minute", () => {
    const sample = makeEventSampler({ minLevel: "debug", debugPerMinute: 2 })
    const sampled = (now: number, action: string) =>
      Array.from({ length: 5 }, () => sample(at("debug", action), now)).filter((event) => event !== undefined).length
    assert.deepStrictEqual([sampled(0, "a"), sampled(0, "b"), sampled(59_999, "a"), sampled(60_000, "a")], [2, 2, 0, 2])
  })
})
