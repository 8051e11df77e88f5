/**
 * Both receivers of events together, a stand-in `joelclaw` and a collector on the
 * loopback interface: the events they get, their description, and their queues.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { sampleGauges } from "../../src/daemon/lifecycle/watches.ts"
import { prometheusText, resetMetrics } from "../../src/otel/metrics.ts"
import { OtelSink, describeReceivers, sinkLayer, type SinkOptions } from "../../src/otel/OtelSink.ts"
import { otlpSettings } from "../../src/otel/otlpSettings.ts"
import { attributesOf, collector } from "../support/collector.ts"
import { event } from "../support/event.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { eventually } from "../support/waiting.ts"
import { testLayer } from "../support/testLayer.ts"

const fakeJoelclaw = Effect.fnUntraced(function* (script: string) {
  const directory = yield* temporaryDirectory
  const command = path.join(directory, "joelclaw")
  fs.writeFileSync(command, `#!/bin/sh\n${script.replaceAll("$OUT", directory)}\n`, { mode: 0o755 })
  const read = (): ReadonlyArray<any> =>
    fs
      .readFileSync(path.join(directory, "events"), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line))
  return { command, read }
})

const withSink = <A, E, R>(options: SinkOptions, program: Effect.Effect<A, E, R>) =>
  Effect.provide(program, Layer.provideMerge(sinkLayer(options), NodeServices.layer), { local: true })

describe("joelclaw and a collector", () => {
  it.live("get the same sampled events, with the same count of those that were not sampled", () =>
    Effect.gen(function* () {
      const stand = yield* fakeJoelclaw('cat >> "$OUT/events"; echo >> "$OUT/events"; echo \'{"ok":true}\'')
      const to = yield* collector()
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      yield* withSink(
        {
          environment: {
            JOELCLAW_BIN: stand.command,
            PATH: "/usr/bin:/bin",
            OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${to.url}/v1/logs`
          },
          sampling: { minLevel: "debug", debugPerMinute: 2 },
          // A busy machine starts a shell late.
          shutdownTimeout: "20 seconds"
        },
        OtelSink.use((sink) =>
          Effect.forEach(
            [1, 2, 3, 4, 5].map((n) => event(n, n === 5 ? "info" : "debug")),
            sink.emit
          )
        )
      ).pipe(Effect.provide(Logger.layer([logger])))
      const expected = [
        [1, undefined],
        [2, undefined],
        [5, 2]
      ]
      // On shutdown, joelclaw gets no debug events.
      assert.deepStrictEqual(
        stand.read().map(({ metadata }) => [metadata.n, metadata.notSent]),
        expected.slice(2)
      )
      assert.deepStrictEqual(
        to.logs().map((record) => {
          const attributes = attributesOf(record)
          return [attributes["agent_secrets.n"], attributes["agent_secrets.not_sent"]]
        }),
        expected
      )
      assert.deepStrictEqual(lines, [
        `events: sent through ${stand.command}, and to the OpenTelemetry collector at ${to.url} (logs)`
      ])
    })
  )

  it.live("report how many events are queued for each", () =>
    Effect.gen(function* () {
      yield* resetMetrics
      const stand = yield* fakeJoelclaw("trap '' TERM; sleep 1000")
      const options: SinkOptions = {
        environment: {
          JOELCLAW_BIN: stand.command,
          PATH: "/usr/bin:/bin",
          OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
          OTEL_BLRP_SCHEDULE_DELAY: "600000"
        },
        sampling: { minLevel: "debug", debugPerMinute: 1000 }
      }
      const program = Effect.gen(function* () {
        const { dropped, emit, state } = yield* OtelSink
        const all = Effect.forEach(
          Array.from({ length: 300 }, (_, n) => event(n)),
          emit,
          { discard: true }
        )
        // At one moment, since more are taken in another second.
        yield* Effect.provide(all, TestClock.layer())
        yield* sampleGauges
        const text = yield* prometheusText
        for (const { kind, queued } of yield* state) {
          assert.isAtLeast(queued, 250)
          assert.include(text, `agent_secrets_sink_queue_size{sink="${kind}"} ${queued}\n`)
        }
        assert.isAtLeast(yield* dropped, 300 - 257 + 50)
      })
      const quiet = Effect.provideService(Logger.CurrentLoggers, new Set())
      yield* withSink(options, program).pipe(Effect.provide(testLayer()), quiet)
    })
  )
})

describe("a collector that redirects", () => {
  it.live("gets its own request, and the other endpoint gets none and no credentials", () =>
    Effect.gen(function* () {
      const other = yield* collector()
      const redirecting = yield* collector("redirects", `${other.url}/v1/logs`)
      const environment = {
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${redirecting.url}/v1/logs`,
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20made-up",
        OTEL_BLRP_SCHEDULE_DELAY: "100"
      }
      const state = yield* withSink(
        { environment, sampling: { minLevel: "info", debugPerMinute: 1 } },
        OtelSink.use((sink) =>
          Effect.andThen(
            sink.emit(event(1)),
            eventually(sink.state, (all) => all.some(({ lastFailure }) => lastFailure !== undefined))
          )
        )
      ).pipe(Effect.provideService(Logger.CurrentLoggers, new Set()))
      assert.deepInclude(state.at(-1)?.lastFailure, { reason: "HTTP status 307" })
      assert.strictEqual(redirecting.requests[0]?.headers.authorization, "Bearer made-up")
      assert.isEmpty(other.requests)
    })
  )
})

describe("the description of the receivers", () => {
  const described = (command: string | undefined, environment: Record<string, string>) =>
    describeReceivers(command, otlpSettings(environment))
  const endpoint = "https://user:hush@collector.example/in?key=hush"

  it("names both, one or none of them, and no credentials", () => {
    const absent = "joelclaw is not installed; still looking for it"
    assert.strictEqual(described(undefined, {}), `none are sent; ${absent}`)
    assert.strictEqual(described("/bin/joelclaw", {}), "sent through /bin/joelclaw")
    assert.strictEqual(
      described("/bin/joelclaw", { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }),
      "sent through /bin/joelclaw, and to the OpenTelemetry collector at https://collector.example (logs, traces, metrics)"
    )
    assert.strictEqual(
      described(undefined, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }),
      `sent to the OpenTelemetry collector at https://collector.example (logs, traces, metrics); ${absent}`
    )
    assert.strictEqual(
      described(undefined, { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: endpoint }),
      `none are sent; other signals go to the OpenTelemetry collector at https://collector.example (metrics); ${absent}`
    )
    assert.strictEqual(described(undefined, { OTEL_EXPORTER_OTLP_ENDPOINT: "gopher://x" }), `none are sent; ${absent}`)
  })
})
