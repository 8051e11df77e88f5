/**
 * Delivery on virtual time: what is sent, what is tried again, what is given up, and
 * how long the pauses are. And the queue and the sampling before it.
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
import { makeEventSampler } from "../../src/otel/sampling.ts"
import { event } from "../support/event.ts"

const started = { ...event(0), action: "daemon.started", component: "daemon" } as const
const stopped = { ...event(0), action: "daemon.stopped", component: "daemon" } as const

/** A receiver that is told whether it works, and keeps what it was given. */
const receiver = () => {
  const tries: Array<Envelope> = []
  const got: Array<Envelope> = []
  const lines: Array<string> = []
  const it = { works: true, target: "somewhere" as string | undefined }
  const start = startDelivery({
    kind: "joelclaw",
    deliver: (event) =>
      Effect.suspend(() => {
        tries.push(event)
        if (!it.works) return Effect.fail(new EmitFailed({ reason: "it is down" }))
        got.push(event)
        return Effect.void
      }),
    target: () => it.target,
    ready: Effect.void
  }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])))
  return { it, start, tries, got, lines, actions: () => got.map(({ action }) => action) }
}

describe("delivery", () => {
  it.effect("sends one after the other, stamped once", () =>
    Effect.gen(function* () {
      const { got, start } = receiver()
      const { emit, state } = yield* start
      yield* TestClock.adjust("5 seconds")
      for (const n of [1, 2, 3]) yield* emit(event(n))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(
        got.map(({ metadata, source, timestamp }) => [metadata["n"], source, timestamp]),
        [1, 2, 3].map((n) => [n, "agent-secrets", 5_000])
      )
      assert.strictEqual(new Set(got.map(({ id }) => id)).size, 3)
      assert.deepInclude(yield* state, { sent: 3, dropped: 0, queued: 0, lastFailure: undefined })
    })
  )

  it.effect("sends thirty at once, then one every two seconds, and at the end what is left", () =>
    Effect.gen(function* () {
      const { got, start } = receiver()
      const scope = yield* Scope.make()
      const { emit } = yield* Scope.provide(start, scope)
      for (let n = 0; n < 50; n += 1) yield* emit(event(n))
      yield* TestClock.adjust("1999 millis")
      assert.lengthOf(got, 30)
      yield* TestClock.adjust("1 millis")
      assert.lengthOf(got, 31)
      yield* TestClock.adjust("6 seconds")
      assert.lengthOf(got, 34)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(
        got.map(({ metadata }) => metadata["n"]),
        Array.from({ length: 50 }, (_, n) => n)
      )
    })
  )

  it.effect("makes pauses that grow, says so once, and tells what was lost when it works again", () =>
    Effect.gen(function* () {
      const { actions, got, it, lines, start, tries } = receiver()
      const { emit, state } = yield* start
      it.works = false
      for (let n = 0; n < 20; n += 1) yield* emit(event(n))
      yield* TestClock.adjust(0)
      assert.strictEqual(tries.length, 1)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(tries.length, 3)
      assert.deepStrictEqual(lines, ["events: joelclaw fails (it is down); there are pauses until it works"])
      for (const pause of [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
        const before = tries.length
        yield* TestClock.adjust(pause - 1)
        assert.strictEqual(tries.length, before)
        yield* TestClock.adjust(1)
        assert.strictEqual(tries.length, before + 1)
      }
      assert.strictEqual(lines.length, 1)
      assert.deepInclude(yield* state, { sent: 0, dropped: 11, queued: 9 })
      it.works = true
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(actions().slice(-1), ["sink.dropped"])
      assert.deepStrictEqual([got.length, got.at(-1)?.metadata["count"]], [10, 11])
      assert.deepStrictEqual(lines.slice(1), ["events: joelclaw works again"])
      yield* emit(event(99))
      yield* TestClock.adjust(0)
      assert.strictEqual(actions().filter((action) => action === "sink.dropped").length, 1)
    })
  )

  it.effect("tries daemon.started for a minute, as the same event, and then no more", () =>
    Effect.gen(function* () {
      const { it, start, tries } = receiver()
      const { emit, state } = yield* start
      it.works = false
      yield* emit(started)
      yield* TestClock.adjust("59 seconds")
      assert.isAbove(tries.length, 4)
      assert.strictEqual(new Set(tries.map(({ id, timestamp }) => `${id} ${timestamp}`)).size, 1)
      assert.deepInclude(yield* state, { dropped: 0, queued: 1 })
      yield* TestClock.adjust("5 minutes")
      const soFar = tries.length
      assert.deepInclude(yield* state, { dropped: 1, queued: 0 })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(tries.length, soFar)
    })
  )

  it.effect("keeps the daemon's own events for a receiver that is not there yet, and no others", () =>
    Effect.gen(function* () {
      const { it, start } = receiver()
      it.target = undefined
      const { emit, state } = yield* start
      it.works = false
      yield* emit(event(1))
      assert.deepInclude(yield* state, { queued: 0, dropped: 0 })
    })
  )

  it.effect("sends at the end what is worth it, without the pauses", () =>
    Effect.gen(function* () {
      const { actions, it, start } = receiver()
      const scope = yield* Scope.make()
      const { emit } = yield* Scope.provide(start, scope)
      it.works = false
      yield* emit(event(1))
      yield* TestClock.adjust(0)
      it.works = true
      yield* emit({ ...event(2), level: "debug" })
      yield* emit(stopped)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(actions(), ["daemon.stopped", "sink.dropped"])
    })
  )

  it.effect("sends first that the daemon stops, whatever waits", () =>
    Effect.gen(function* () {
      const arrived: Array<string> = []
      const scope = yield* Scope.make()
      const { emit, state } = yield* startDelivery({
        kind: "joelclaw",
        deliver: ({ action }) =>
          Effect.delay(
            Effect.sync(() => void arrived.push(action)),
            "400 millis"
          ),
        target: () => "somewhere",
        ready: Effect.void
      }).pipe(Scope.provide(scope))
      yield* emit(event(0))
      yield* TestClock.adjust(0)
      for (let n = 1; n <= 300; n += 1) yield* emit(event(n))
      yield* emit(stopped)
      assert.deepInclude(yield* state, { queued: 257, dropped: 44 })
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(arrived, ["lease.replaced", "daemon.stopped"])
    })
  )

  it.effect("lets the event that is on its way arrive at the end, for a second at the most", () =>
    Effect.gen(function* () {
      for (const [takes, arrives] of [
        [999, ["daemon.stopped"]],
        [1001, []]
      ] as const) {
        const arrived: Array<string> = []
        const deliver = (event: Envelope) =>
          Effect.delay(
            Effect.sync(() => void arrived.push(event.action)),
            takes
          )
        const scope = yield* Scope.make()
        const { emit } = yield* startDelivery({
          kind: "joelclaw",
          deliver,
          target: () => "somewhere",
          ready: Effect.void
        }).pipe(Scope.provide(scope))
        yield* emit(stopped)
        yield* TestClock.adjust(0)
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(closing)
        assert.deepStrictEqual(arrived, [...arrives])
      }
    })
  )
})

describe("the queue", () => {
  const small = (n: number, level: "debug" | "info" = "info") => ({ n, level })

  it("drops the oldest debug event first, and the oldest of all where there is none", () => {
    const queue = new EventQueue<ReturnType<typeof small>>(3)
    for (const one of [small(1), small(2, "debug"), small(3, "debug"), small(4)]) queue.offer(one)
    queue.offer(small(5))
    queue.offer(small(6, "debug"))
    queue.offer(small(7))
    const left = Array.from({ length: queue.size }, () => Effect.runSync(queue.take).n)
    assert.deepStrictEqual([left, queue.dropped], [[4, 5, 7], 4])
  })

  it("never grows", () => {
    const queue = new EventQueue<ReturnType<typeof small>>(256)
    for (let n = 0; n < 100_000; n += 1) queue.offer(small(n, n % 3 === 0 ? "debug" : "info"))
    assert.deepStrictEqual([queue.size, queue.dropped], [256, 100_000 - 256])
  })

  it("gives in the order in which they came, and first what was put back", () => {
    const queue = new EventQueue<ReturnType<typeof small>>(256)
    const order = [1, 2, 3, 4, 5, 6].map((n) => small(n, n % 2 === 0 ? "debug" : "info"))
    for (const one of order) queue.offer(one)
    const first = Effect.runSync(queue.take)
    const second = Effect.runSync(queue.take)
    queue.offerFirst(second)
    queue.offerFirst(first)
    queue.keepOnly(({ n }) => n !== 3)
    const left = Array.from({ length: queue.size }, () => Effect.runSync(queue.take).n)
    assert.deepStrictEqual(left, [1, 2, 4, 5, 6])
  })

  it("takes an event no more slowly when it is full of what is not debug", () => {
    const timeOf = (capacity: number) => {
      const queue = new EventQueue<ReturnType<typeof small>>(capacity)
      for (let n = 0; n < capacity; n += 1) queue.offer(small(n))
      const from = performance.now()
      for (let n = 0; n < 10_000; n += 1) queue.offer(small(n))
      return performance.now() - from
    }
    timeOf(100_000)
    // To look at each of them would be a thousand times as slow, and to move them too.
    assert.isBelow(timeOf(100_000), 200 * Math.max(1, timeOf(100)))
  })
})

describe("sampling", () => {
  const at = (level: OtelEvent.OtelEvent["level"], action = "a") => ({ ...event(0), level, action })

  it("leaves out what is below the level, and says in the next event how many those were", () => {
    const sample = makeEventSampler({ minLevel: "info", debugPerMinute: 12 })
    assert.isUndefined(sample(at("debug"), 0))
    assert.isUndefined(sample(at("debug"), 0))
    assert.deepStrictEqual(sample(at("info"), 0)?.metadata, { n: 0, notSent: 2 })
    assert.deepStrictEqual(sample(at("error"), 0)?.metadata, { n: 0 })
  })

  it("lets so many debug events of one action pass in a minute", () => {
    const sample = makeEventSampler({ minLevel: "debug", debugPerMinute: 2 })
    const passed = (now: number, action: string) =>
      Array.from({ length: 5 }, () => sample(at("debug", action), now)).filter((event) => event !== undefined).length
    assert.deepStrictEqual([passed(0, "a"), passed(0, "b"), passed(59_999, "a"), passed(60_000, "a")], [2, 2, 0, 2])
  })
})
