/**
 * Answers of a collector that are no error of the network: it asks to wait, or takes only a
 * part. No answer silences the export, and what is lost is counted and reported.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import { rejectionIn } from "../../src/otel/partialSuccess.ts"
import { event } from "../support/event.ts"
import { fakeCollector, startExport } from "../support/otlpExport.ts"

const logged = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ message }) => void lines.push(String(message)))
  return { lines, keep: Effect.provideService(Logger.CurrentLoggers, new Set([logger])) }
}

describe("a collector that answers 429", () => {
  for (const [asked, retryAfter, until] of [
    ["a day", "86400", "1970-01-02T00:00:01Z"],
    ["a date", "Thu, 01 Jan 1970 12:00:00 GMT", "1970-01-01T12:00:00Z"],
    ["more than a time can have", "9".repeat(30), "1971-01-01T00:00:01Z"]
  ] as const) {
    it.effect(`and asks to wait for ${asked} gets the next events after a minute`, () =>
      Effect.gen(function* () {
        const { keep, lines } = logged()
        yield* Effect.gen(function* () {
          const collector = fakeCollector()
          const { dropped, emit, sent, state } = yield* startExport(collector)
          collector.state.status = 429
          collector.state.headers = { "retry-after": retryAfter }
          yield* emit(event(1))
          yield* TestClock.adjust("1 second")
          const reason = `HTTP status 429, it asks to wait until ${until}`
          assert.strictEqual((yield* state).lastFailure?.reason, reason)
          assert.deepStrictEqual(lines, [`events: OTLP export of logs fails (${reason}); dropping them`])
          assert.deepStrictEqual([yield* sent, yield* dropped], [0, 1])
          collector.state.status = 200
          yield* TestClock.adjust("59 seconds")
          assert.lengthOf(collector.requests, 1)
          yield* TestClock.adjust("2 seconds")
          yield* emit(event(2))
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual([yield* sent, yield* dropped], [2, 1])
          assert.deepStrictEqual(lines.slice(1), ["events: OTLP export of logs works again"])
        }).pipe(keep)
      })
    )
  }

  it.effect("and asks to wait for less than a minute gets the same events then, and the wait is reported at once", () =>
    Effect.gen(function* () {
      const { keep, lines } = logged()
      yield* Effect.gen(function* () {
        const collector = fakeCollector()
        const { dropped, emit, sent, state } = yield* startExport(collector)
        Object.assign(collector.state, { status: 429, headers: { "retry-after": "50" } })
        yield* emit(event(1))
        yield* TestClock.adjust("1 second")
        assert.match(
          (yield* state).lastFailure?.reason ?? "",
          /^HTTP status 429, it asks to wait until 1970-01-01T00:00:51Z/
        )
        assert.lengthOf(lines, 1)
        collector.state.status = 200
        yield* TestClock.adjust("49 seconds")
        assert.deepStrictEqual([collector.requests.length, yield* sent], [1, 0])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual([collector.requests.length, yield* sent, yield* dropped], [2, 1, 0])
      }).pipe(keep)
    })
  )

  it.effect("or another status of a server that is busy for a while is asked again when it says", () =>
    Effect.gen(function* () {
      for (const status of [502, 503, 504]) {
        const collector = fakeCollector()
        const { emit, sent, state } = yield* startExport(collector)
        Object.assign(collector.state, { status, headers: { "retry-after": "50" } })
        yield* emit(event(1))
        yield* TestClock.adjust("1 second")
        assert.match(
          (yield* state).lastFailure?.reason ?? "",
          new RegExp(`^HTTP status ${status}, it asks to wait until `)
        )
        collector.state.status = 200
        yield* TestClock.adjust("49 seconds")
        assert.deepStrictEqual([collector.requests.length, yield* sent], [1, 0])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual([collector.requests.length, yield* sent], [2, 1])
      }
    })
  )

  for (const retryAfter of ["soon", "", "-1"]) {
    it.effect(`with Retry-After: ${retryAfter || "nothing"} is asked again after Effect's own pause`, () =>
      Effect.gen(function* () {
        const collector = fakeCollector()
        const { emit, sent } = yield* startExport(collector)
        Object.assign(collector.state, { status: 429, headers: { "retry-after": retryAfter } })
        yield* emit(event(1))
        yield* TestClock.adjust("1 second")
        collector.state.status = 200
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* sent, 1)
      })
    )
  }
})

describe("a collector that rejects a part of what it accepts", () => {
  const partial = (members: object) => JSON.stringify({ partialSuccess: members })

  it.effect("has sent only the rest; the loss is counted, logged once, and shown as last failure", () =>
    Effect.gen(function* () {
      const { keep, lines } = logged()
      yield* Effect.gen(function* () {
        const collector = fakeCollector()
        const { dropped, emit, sent, state } = yield* startExport(collector)
        collector.state.body = partial({ rejectedLogRecords: "2", errorMessage: "too \u001b[31mold" })
        for (const n of [1, 2, 3]) yield* emit(event(n))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual([yield* sent, yield* dropped], [1, 2])
        const reason = String.raw`2 rejected: too \x1b[31mold`
        assert.strictEqual((yield* state).lastFailure?.reason, reason)
        assert.deepStrictEqual(lines, [`events: OTLP export of logs fails (${reason}); dropping them`])
      }).pipe(keep)
    })
  )

  it.effect("gets one report of it, even if it rejects that too", () =>
    Effect.gen(function* () {
      const collector = fakeCollector()
      const { dropped, emit } = yield* startExport(collector)
      collector.state.body = partial({ rejectedLogRecords: 1 })
      yield* emit(event(1))
      for (let second = 0; second < 5; second += 1) yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* dropped, collector.requests.length], [1, 2])
    })
  )

  it.effect("of metrics or spans is shown with the signal", () =>
    Effect.gen(function* () {
      const collector = fakeCollector()
      const { state } = yield* startExport(collector, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector" })
      collector.state.body = partial({ rejectedDataPoints: 4 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* state).lastFailure?.reason, "metrics: 4 rejected")
    })
  )

  it.effect("answers a web page with status 200: nothing was sent", () =>
    Effect.gen(function* () {
      const collector = fakeCollector()
      const { dropped, emit, sent, state } = yield* startExport(collector)
      Object.assign(collector.state, { headers: { "content-type": "text/html; charset=utf-8" }, body: "<html>" })
      yield* emit(event(1))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([yield* sent, yield* dropped], [0, 1])
      assert.strictEqual((yield* state).lastFailure?.reason, "HTTP status 200 with a web page")
    })
  )
})

describe("an export without a usable setting", () => {
  for (const environment of [
    { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
    { OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" }
  ]) {
    it.effect(`has no target, and the reason as last failure: ${JSON.stringify(environment)}`, () =>
      Effect.gen(function* () {
        const { state } = yield* startExport(fakeCollector(), environment)
        const { lastFailure, target } = yield* state
        assert.isUndefined(target)
        assert.match(
          lastFailure?.reason ?? "",
          /^OTEL_EXPORTER_OTLP_(PROTOCOL|ENDPOINT) must be .*; logs are not exported;/
        )
      })
    )
  }
})

describe("the body of a response", () => {
  const json = (body: unknown) => rejectionIn("application/json", Buffer.from(JSON.stringify(body)))
  const protobuf = (...bytes: ReadonlyArray<number>) => rejectionIn("application/x-protobuf", Uint8Array.from(bytes))

  it("rejects as many as it says, in either encoding", () => {
    for (const name of ["rejectedLogRecords", "rejectedSpans", "rejectedDataPoints"]) {
      assert.deepStrictEqual(json({ partialSuccess: { [name]: 7 } }), { count: 7, reason: "" })
      assert.deepStrictEqual(json({ partialSuccess: { [name]: "7", errorMessage: "no" } }), { count: 7, reason: "no" })
    }
    // 300 rejected, "no", and an unknown field before them.
    assert.deepStrictEqual(protobuf(0x0a, 12, 0x1d, 1, 2, 3, 4, 8, 0xac, 2, 0x12, 2, 0x6e, 0x6f), {
      count: 300,
      reason: "no"
    })
  })

  it("rejects nothing if it is empty, a warning, cut off, or something else", () => {
    for (const body of [
      {},
      [],
      null,
      "x",
      { partialSuccess: null },
      { partialSuccess: { errorMessage: "a warning" } }
    ]) {
      assert.isUndefined(json(body))
    }
    assert.isUndefined(rejectionIn("application/json", Buffer.from("{")))
    for (const bytes of [
      [],
      [0x0a],
      [0x0a, 200, 1],
      [0x0a, 2, 8],
      [0xff, 0xff],
      [0x0b, 1],
      [0x0a, 4, 0x12, 2, 0x6e, 0x6f]
    ]) {
      assert.isUndefined(protobuf(...bytes))
    }
  })
})
