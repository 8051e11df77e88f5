/**
 * Export to a collector: batching, the budget, drop counts, failures and shutdown. Runs
 * on TestClock, with an HTTP client that stands in for the collector.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import type { OtelEvent } from "../../src/otel/OtelEvent.ts"
import { CurrentSpanExporter, inSpan, type SpanExporter } from "../../src/otel/span.ts"
import { event } from "../support/event.ts"
import { fakeCollector, startExport } from "../support/otlpExport.ts"

const allSignals = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector" }

const emitMany = (emit: (event: OtelEvent) => Effect.Effect<void>, count: number, level: OtelEvent["level"] = "info") =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => event(n, level)),
    emit,
    { discard: true }
  )

/** Advances the clock by 10 ms until the effect completes; returns the milliseconds that passed. */
const virtualDuration = Effect.fnUntraced(function* (work: Effect.Effect<void>) {
  const start = yield* Clock.currentTimeMillis
  const fiber = yield* Effect.forkChild(work)
  while (true) {
    yield* TestClock.adjust("10 millis")
    if (fiber.pollUnsafe() !== undefined) break
  }
  yield* Fiber.join(fiber)
  return (yield* Clock.currentTimeMillis) - start
})

describe("events for a collector", () => {
  it.effect("are batched for a second and sent in one request", () =>
    Effect.gen(function* () {
      const collector = fakeCollector()
      const { emit, sent } = yield* startExport(collector)
      yield* emitMany(emit, 3)
      yield* TestClock.adjust(999)
      assert.isEmpty(collector.requests)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(
        collector.records().map((records) => records.length),
        [3]
      )
      assert.strictEqual(yield* sent, 3)
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(collector.requests, 1)
    })
  )

  it.effect("are sent immediately on shutdown", () =>
    Effect.gen(function* () {
      const collector = fakeCollector()
      const { emit, shutdown } = yield* startExport(collector)
      yield* emit(event(1))
      assert.isAtMost(yield* virtualDuration(shutdown), 10)
      assert.lengthOf(collector.records(), 1)
    })
  )

  it.effect(
    "are limited per second, debug events to half of that; the excess is counted and reported in sink.dropped",
    () =>
      Effect.gen(function* () {
        const collector = fakeCollector()
        const { dropped, emit, state } = yield* startExport(collector)
        yield* emitMany(emit, 2000, "debug")
        assert.strictEqual(yield* dropped, 1875)
        yield* emitMany(emit, 200)
        assert.strictEqual(yield* dropped, 1950)
        assert.deepInclude(yield* state, { kind: "otlp", queued: 250, lastFailure: undefined })
        yield* TestClock.adjust("1 second")
        assert.lengthOf(collector.records()[0], 251)
        assert.deepInclude(collector.records()[0].at(-1), { eventName: "sink.dropped", severityText: "WARN" })
        assert.deepInclude(collector.records()[0].at(-1).attributes, {
          key: "agent_secrets.count",
          value: { intValue: 1950 }
        })
        yield* emitMany(emit, 1)
        yield* TestClock.adjust("1 second")
        assert.lengthOf(collector.records()[1], 1)
      })
  )

  it.effect("are always admitted if they are about the daemon: daemon.stopped is sent after a flood", () =>
    Effect.gen(function* () {
      const collector = fakeCollector()
      const { dropped, emit, shutdown } = yield* startExport(collector)
      yield* emitMany(emit, 1000)
      assert.strictEqual(yield* dropped, 750)
      yield* emit({ ...event(0), action: "daemon.stopped", component: "daemon" })
      assert.strictEqual(yield* dropped, 750)
      yield* shutdown
      const records = collector.records().flat()
      assert.lengthOf(records, 252)
      assert.isTrue(records.some((record) => record.eventName === "daemon.stopped"))
    })
  )

  it.effect("are bounded by their length too, so long names do not exhaust memory", () =>
    Effect.gen(function* () {
      const collector = fakeCollector()
      const { dropped, emit } = yield* startExport(collector)
      const long = { ...event(1), metadata: { secretName: "s".repeat(16_384), clientId: "c".repeat(16_384) } }
      for (let n = 0; n < 100; n += 1) yield* emit(long)
      assert.strictEqual(yield* dropped, 68)
      yield* TestClock.adjust("1 second")
      assert.isBelow(collector.requests[0]?.text.length ?? 0, 1024 * 1024 + 100_000)
      yield* emit(long)
      assert.strictEqual(yield* dropped, 68)
    })
  )

  it.effect(
    "are dropped and counted while the collector fails, which is logged once; a minute later export resumes",
    () =>
      Effect.gen(function* () {
        const collector = fakeCollector()
        const lines: Array<string> = []
        const logger = Logger.make(({ message }) => void lines.push(String(message)))
        yield* Effect.gen(function* () {
          const { dropped, emit, sent, state } = yield* startExport(collector)
          collector.state.status = 500
          yield* emitMany(emit, 5)
          yield* TestClock.adjust("3 seconds")
          yield* emitMany(emit, 2)
          yield* TestClock.adjust("1 second")
          assert.lengthOf(collector.requests, 4)
          assert.strictEqual(yield* dropped, 7)
          yield* emitMany(emit, 4)
          yield* TestClock.adjust("59 seconds")
          assert.lengthOf(collector.requests, 4)
          assert.strictEqual(yield* dropped, 11)
          collector.state.status = 200
          yield* TestClock.adjust("2 seconds")
          yield* emitMany(emit, 3)
          yield* TestClock.adjust("1 second")
          // The fourth is sink.dropped, which was sent before them.
          assert.deepStrictEqual([yield* sent, yield* dropped], [4, 11])
          assert.strictEqual(collector.records().at(-2)?.at(-1).eventName, "sink.dropped")
          assert.strictEqual((yield* state).lastFailure?.reason, "HTTP status 500")
        }).pipe(Effect.provideService(Logger.CurrentLoggers, new Set([logger])))
        assert.deepStrictEqual(lines, [
          "events: OTLP export of logs fails (HTTP status 500); dropping them",
          "events: OTLP export of logs works again"
        ])
      })
  )

  it.effect("queue behind a request that hangs until it times out", () =>
    Effect.gen(function* () {
      const collector = fakeCollector()
      const { dropped, emit } = yield* startExport(collector)
      collector.state.status = 0
      yield* emit(event(0))
      for (let second = 0; second < 10; second += 1) {
        yield* emitMany(emit, 1000)
        yield* TestClock.adjust("1 second")
      }
      assert.lengthOf(collector.requests, 1)
      yield* TestClock.adjust("40 seconds")
      assert.lengthOf(collector.requests, 4)
      assert.strictEqual(yield* dropped, 10_001)
    })
  )
})

describe("shutdown", () => {
  for (const [behavior, status, maxMillis] of [
    ["hangs", 0, 1000],
    ["fails", 500, 300]
  ] as const) {
    it.effect(`takes at most ${maxMillis} ms for all signals together if the collector ${behavior}`, () =>
      Effect.gen(function* () {
        const collector = fakeCollector()
        const { emit, shutdown } = yield* startExport(collector, allSignals)
        collector.state.status = status
        yield* emit(event(1))
        yield* TestClock.adjust("1500 millis")
        yield* emit(event(2))
        assert.isAtMost(yield* virtualDuration(shutdown), maxMillis)
        const count = collector.requests.length
        yield* TestClock.adjust("10 minutes")
        assert.lengthOf(collector.requests, count)
      })
    )
  }
})

describe("spans", () => {
  const acquire = inSpan("acquire", () => ({ "secret.name": "db" }), Effect.withSpan(Effect.void, "below"))
  const work = Effect.withSpan(Effect.andThen(acquire, Effect.withSpan(Effect.void, "AuditLog.append")), "sweep")
  /** Runs with the references that `sinkLayer` provides. */
  const runTimes = (count: number, spans: SpanExporter) =>
    Effect.repeat(work, { times: count - 1 }).pipe(
      Effect.provideService(CurrentSpanExporter, spans),
      Effect.provideService(References.TracerEnabled, false)
    )

  it.effect("are exported for acquire alone, each as its own trace, limited per second", () =>
    Effect.gen(function* () {
      const collector = fakeCollector()
      const { spans } = yield* startExport(collector, allSignals)
      if (spans === undefined) return assert.fail("no spans are exported")
      yield* runTimes(300, spans)
      yield* TestClock.adjust("1 second")
      yield* runTimes(300, spans)
      yield* TestClock.adjust("4 seconds")
      const [exported] = collector.spans()
      assert.lengthOf(exported, 100)
      assert.isTrue(exported.every((span: any) => span.name === "acquire" && span.parentSpanId === undefined))
      assert.isTrue(exported.every((span: any) => span.attributes[0].value.stringValue === "db"))
      assert.strictEqual(new Set(exported.map((span: any) => span.traceId)).size, 100)
    })
  )

  for (const [sampler, ratio, expected] of [
    ["always_off", "1", 0],
    ["parentbased_traceidratio", "0.1", 4],
    ["traceidratio", "0", 0],
    ["parentbased_always_on", "0", 40]
  ] as const) {
    it.effect(`are exported for ${expected} of 40 acquires with ${sampler} and ratio ${ratio}`, () =>
      Effect.gen(function* () {
        const collector = fakeCollector()
        const samplerVariables = { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: ratio }
        const { spans } = yield* startExport(collector, { ...allSignals, ...samplerVariables })
        if (spans === undefined) return assert.fail("no spans are exported")
        yield* runTimes(40, spans)
        yield* TestClock.adjust("5 seconds")
        assert.lengthOf(collector.spans().flat(), expected)
      })
    )
  }
})

describe("the protocol", () => {
  it.effect("is protobuf if configured", () =>
    Effect.gen(function* () {
      const collector = fakeCollector()
      const { emit } = yield* startExport(collector, { ...allSignals, OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" })
      yield* emit(event(1))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([...new Set(collector.requests.map(({ type }) => type))], ["application/x-protobuf"])
      assert.include(collector.requests[0]?.text, "lease.replaced")
    })
  )
})
