/**
 * What is sent to a collector and when, and what becomes of it where the collector
 * fails: on virtual time, with a collector made of a function.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import type { OtelEvent } from "../../src/otel/OtelEvent.ts"
import { startOtlp } from "../../src/otel/otlp.ts"
import { otlpSettings } from "../../src/otel/otlpSettings.ts"
import { inSpan, SpansSent } from "../../src/otel/span.ts"
import { event } from "../support/event.ts"

interface Sent {
  readonly path: string
  readonly type: string
  readonly text: string
}

/** A collector that answers with the status it is set to; 0 is never. */
const collector = () => {
  const sent: Array<Sent> = []
  const state = { status: 200 }
  const client = HttpClient.make((request, url) =>
    Effect.suspend(() => {
      const body = request.body._tag === "Uint8Array" ? Buffer.from(request.body.body).toString("utf8") : ""
      const type = request.body._tag === "Uint8Array" ? request.body.contentType : ""
      sent.push({ path: url.pathname, type, text: body })
      return state.status === 0
        ? Effect.never
        : Effect.succeed(HttpClientResponse.fromWeb(request, new Response("{}", { status: state.status })))
    })
  )
  const records = () =>
    sent
      .filter(({ path }) => path === "/v1/logs")
      .map(({ text }) => JSON.parse(text).resourceLogs[0].scopeLogs[0].logRecords)
  const spans = () =>
    sent
      .filter(({ path }) => path === "/v1/traces")
      .map(({ text }) => JSON.parse(text).resourceSpans[0].scopeSpans[0].spans)
  return { client, sent, state, records, spans }
}

/** What is sent in a scope of its own, so that a test can see it end. */
const started = Effect.fnUntraced(function* (
  { client }: ReturnType<typeof collector>,
  environment: Record<string, string> = { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://collector/v1/logs" }
) {
  const settings = otlpSettings(environment)
  if (settings === undefined) return yield* Effect.die(new Error("nothing is configured"))
  const scope = yield* Scope.make()
  const otlp = yield* startOtlp(settings).pipe(
    Effect.provideService(HttpClient.HttpClient, client),
    Scope.provide(scope)
  )
  return {
    ...otlp,
    sent: Effect.map(otlp.state, ({ sent }) => sent),
    dropped: Effect.map(otlp.state, ({ dropped }) => dropped),
    end: Scope.close(scope, Exit.void)
  }
})

const everything = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector" }

const emitMany = (emit: (event: OtelEvent) => Effect.Effect<void>, count: number, level: OtelEvent["level"] = "info") =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => event(n, level)),
    emit,
    { discard: true }
  )

/** How long something takes on virtual time, which is moved by small steps until it is done. */
const timed = Effect.fnUntraced(function* (work: Effect.Effect<void>) {
  const begun = yield* Clock.currentTimeMillis
  const fiber = yield* Effect.forkChild(work)
  while (true) {
    yield* TestClock.adjust("10 millis")
    if (fiber.pollUnsafe() !== undefined) break
  }
  yield* Fiber.join(fiber)
  return (yield* Clock.currentTimeMillis) - begun
})

describe("events on their way to a collector", () => {
  it.effect("gather for a second and go in one request", () =>
    Effect.gen(function* () {
      const to = collector()
      const { emit, sent } = yield* started(to)
      yield* emitMany(emit, 3)
      yield* TestClock.adjust(999)
      assert.isEmpty(to.sent)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(
        to.records().map((records) => records.length),
        [3]
      )
      assert.strictEqual(yield* sent, 3)
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(to.sent, 1)
    })
  )

  it.effect("go at once at the end", () =>
    Effect.gen(function* () {
      const to = collector()
      const { emit, end } = yield* started(to)
      yield* emit(event(1))
      assert.isAtMost(yield* timed(end), 10)
      assert.lengthOf(to.records(), 1)
    })
  )

  it.effect("are so many a second, half of them for what is not debug; the rest is counted, and told", () =>
    Effect.gen(function* () {
      const to = collector()
      const { dropped, emit, state } = yield* started(to)
      yield* emitMany(emit, 2000, "debug")
      assert.strictEqual(yield* dropped, 1875)
      yield* emitMany(emit, 200)
      assert.strictEqual(yield* dropped, 1950)
      assert.deepInclude(yield* state, { kind: "otlp", queued: 250, lastFailure: undefined })
      yield* TestClock.adjust("1 second")
      assert.lengthOf(to.records()[0], 251)
      assert.deepInclude(to.records()[0].at(-1), { eventName: "sink.dropped", severityText: "WARN" })
      assert.deepInclude(to.records()[0].at(-1).attributes, {
        key: "agent_secrets.count",
        value: { intValue: 1950 }
      })
      yield* emitMany(emit, 1)
      yield* TestClock.adjust("1 second")
      assert.lengthOf(to.records()[1], 1)
    })
  )

  it.effect("of the daemon itself go beside all that, for there are few of them: that it stops is always told", () =>
    Effect.gen(function* () {
      const to = collector()
      const { dropped, emit, end } = yield* started(to)
      yield* emitMany(emit, 1000)
      assert.strictEqual(yield* dropped, 750)
      yield* emit({ ...event(0), action: "daemon.stopped", component: "daemon" })
      assert.strictEqual(yield* dropped, 750)
      yield* end
      const sent = to.records().flat()
      assert.lengthOf(sent, 252)
      assert.isTrue(sent.some((record) => record.eventName === "daemon.stopped"))
    })
  )

  it.effect("are bounded in length as well: long names do not fill the memory", () =>
    Effect.gen(function* () {
      const to = collector()
      const { dropped, emit } = yield* started(to)
      const long = { ...event(1), metadata: { secretName: "s".repeat(16_384), clientId: "c".repeat(16_384) } }
      for (let n = 0; n < 100; n += 1) yield* emit(long)
      assert.strictEqual(yield* dropped, 68)
      yield* TestClock.adjust("1 second")
      assert.isBelow(to.sent[0]?.text.length ?? 0, 1024 * 1024 + 100_000)
      yield* emit(long)
      assert.strictEqual(yield* dropped, 68)
    })
  )

  it.effect("are lost and counted where it fails, which is told once; a minute later it is tried again", () =>
    Effect.gen(function* () {
      const to = collector()
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      yield* Effect.gen(function* () {
        const { dropped, emit, sent, state } = yield* started(to)
        to.state.status = 500
        yield* emitMany(emit, 5)
        yield* TestClock.adjust("3 seconds")
        yield* emitMany(emit, 2)
        yield* TestClock.adjust("1 second")
        assert.lengthOf(to.sent, 4)
        assert.strictEqual(yield* dropped, 7)
        yield* emitMany(emit, 4)
        yield* TestClock.adjust("59 seconds")
        assert.lengthOf(to.sent, 4)
        assert.strictEqual(yield* dropped, 11)
        to.state.status = 200
        yield* TestClock.adjust("2 seconds")
        yield* emitMany(emit, 3)
        yield* TestClock.adjust("1 second")
        // Before them went the word of those that were lost.
        assert.deepStrictEqual([yield* sent, yield* dropped], [4, 11])
        assert.strictEqual(to.records().at(-2)?.at(-1).eventName, "sink.dropped")
        assert.strictEqual((yield* state).lastFailure?.reason, "it answers 500")
      }).pipe(Effect.provideService(Logger.CurrentLoggers, new Set([logger])))
      assert.deepStrictEqual(lines, [
        "events: OTLP fails for logs (it answers 500); they are lost until it works",
        "events: OTLP works again for logs"
      ])
    })
  )

  it.effect("wait behind one request that hangs, and it is given up in time", () =>
    Effect.gen(function* () {
      const to = collector()
      const { dropped, emit } = yield* started(to)
      to.state.status = 0
      yield* emit(event(0))
      for (let second = 0; second < 10; second += 1) {
        yield* emitMany(emit, 1000)
        yield* TestClock.adjust("1 second")
      }
      assert.lengthOf(to.sent, 1)
      yield* TestClock.adjust("40 seconds")
      assert.lengthOf(to.sent, 4)
      assert.strictEqual(yield* dropped, 10_001)
    })
  )
})

describe("the end", () => {
  for (const [manner, status, atMost] of [
    ["hangs", 0, 1000],
    ["fails", 500, 300]
  ] as const) {
    it.effect(`takes ${atMost} ms at the most for all signals together where the collector ${manner}`, () =>
      Effect.gen(function* () {
        const to = collector()
        const { emit, end } = yield* started(to, everything)
        to.state.status = status
        yield* emit(event(1))
        yield* TestClock.adjust("1500 millis")
        yield* emit(event(2))
        assert.isAtMost(yield* timed(end), atMost)
        const count = to.sent.length
        yield* TestClock.adjust("10 minutes")
        assert.lengthOf(to.sent, count)
      })
    )
  }
})

describe("spans", () => {
  const acquire = inSpan("acquire", () => ({ "secret.name": "db" }))(Effect.withSpan(Effect.void, "below"))
  const work = Effect.withSpan(Effect.andThen(acquire, Effect.withSpan(Effect.void, "AuditLog.append")), "sweep")
  /** With what `sinkLayer` provides. */
  const times = (count: number, spans: SpansSent) =>
    Effect.repeat(work, { times: count - 1 }).pipe(
      Effect.provideService(SpansSent, spans),
      Effect.provideService(References.TracerEnabled, false)
    )

  it.effect("are those of acquire and no others, each a trace of its own, so many a second", () =>
    Effect.gen(function* () {
      const to = collector()
      const { spans } = yield* started(to, everything)
      if (spans === undefined) return assert.fail("no spans are sent")
      yield* times(300, spans)
      yield* TestClock.adjust("1 second")
      yield* times(300, spans)
      yield* TestClock.adjust("4 seconds")
      const [sent] = to.spans()
      assert.lengthOf(sent, 100)
      assert.isTrue(sent.every((span: any) => span.name === "acquire" && span.parentSpanId === undefined))
      assert.isTrue(sent.every((span: any) => span.attributes[0].value.stringValue === "db"))
      assert.strictEqual(new Set(sent.map((span: any) => span.traceId)).size, 100)
    })
  )

  for (const [sampler, ratio, expected] of [
    ["always_off", "1", 0],
    ["parentbased_traceidratio", "0.1", 4],
    ["traceidratio", "0", 0],
    ["parentbased_always_on", "0", 40]
  ] as const) {
    it.effect(`are ${expected} of 40 acquires with ${sampler} and ${ratio}`, () =>
      Effect.gen(function* () {
        const to = collector()
        const sampling = { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: ratio }
        const { spans } = yield* started(to, { ...everything, ...sampling })
        if (spans === undefined) return assert.fail("no spans are sent")
        yield* times(40, spans)
        yield* TestClock.adjust("5 seconds")
        assert.lengthOf(to.spans().flat(), expected)
      })
    )
  }
})

describe("the protocol", () => {
  it.effect("is protobuf where that is asked for", () =>
    Effect.gen(function* () {
      const to = collector()
      const { emit } = yield* started(to, { ...everything, OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" })
      yield* emit(event(1))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([...new Set(to.sent.map(({ type }) => type))], ["application/x-protobuf"])
      assert.include(to.sent[0]?.text, "lease.replaced")
    })
  )
})
