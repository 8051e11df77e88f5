/**
 * What a real daemon exports, decoded by OpenTelemetry's own definitions: each request
 * of each signal, in both encodings, without unknown fields.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { gunzipSync } from "node:zlib"
import { instruments } from "../../src/otel/metrics.ts"
import { version } from "../../src/version.ts"
import { attributesOf, collector } from "../support/collector.ts"
import { flaws, readJson, readProtobuf, type Signal } from "../support/otlpDefinitions.ts"
import { rpc, type RunningDaemon, startDaemon } from "../harness/daemon.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"

const shortIntervals = {
  OTEL_BLRP_SCHEDULE_DELAY: "100",
  OTEL_BSP_SCHEDULE_DELAY: "100",
  OTEL_METRIC_EXPORT_INTERVAL: "100"
}

/** Issues, replaces, refuses, revokes and rotates, then activates the killswitch. */
const runEachOperation = Effect.fnUntraced(function* ({ socket }: RunningDaemon) {
  yield* rpc(socket, "add", { name: "db", value: "x", rotate_via: "echo y" })
  yield* rpc(socket, "add", { name: "a ‘name’ with ☃", value: "x" })
  for (const client of ["a", "b", "b"]) yield* rpc(socket, "lease", { secret_name: "db", client_id: client })
  const { result } = yield* rpc(socket, "lease", { secret_name: "a ‘name’ with ☃", client_id: "c" })
  yield* rpc(socket, "lease", { secret_name: "none", client_id: "c" })
  yield* rpc(socket, "revoke", { lease_id: result.lease_id })
  yield* rpc(socket, "rotate", { secret_name: "db" })
  yield* rpc(socket, "killswitch")
})

/** Runs a daemon and returns the requests of each signal, decoded and checked. */
const exportedBy = Effect.fnUntraced(function* (env: Record<string, string>, isEnough: (paths: string) => boolean) {
  const home = yield* temporaryDirectory
  const to = yield* collector()
  const from = Date.now()
  const daemon = yield* startDaemon({ home, env: { ...shortIntervals, ...env, OTEL_EXPORTER_OTLP_ENDPOINT: to.url } })
  yield* runEachOperation(daemon)
  yield* until(() => isEnough(to.requests.map(({ path }) => path).join(" ")))
  const ended = yield* daemon.stop()
  assert.notMatch(ended.stderr, /OTLP export of \w+ fails/)
  const of = (signal: Signal) =>
    to.requests
      .filter(({ path }) => path === `/v1/${signal}`)
      .map(({ body: sent, headers }) => {
        const isCompressed = headers["content-encoding"] === "gzip"
        const body = isCompressed ? gunzipSync(sent) : sent
        // Smaller bodies are not compressed.
        assert.strictEqual(isCompressed, env["OTEL_EXPORTER_OTLP_COMPRESSION"] === "gzip" && body.length >= 1024)
        const isJson = headers["content-type"] === "application/json"
        assert.isTrue(isJson || headers["content-type"] === "application/x-protobuf")
        const data = isJson ? readJson(signal, body.toString("utf8")) : readProtobuf(signal, body)
        assert.deepStrictEqual(flaws(signal, data, from, Date.now()), [])
        return data
      })
  return { pid: daemon.pid, logs: of("logs"), traces: of("traces"), metrics: of("metrics") }
})

const recordsOf = (logs: ReadonlyArray<any>): ReadonlyArray<any> =>
  logs.flatMap(({ resourceLogs }) => resourceLogs[0].scopeLogs[0].logRecords)
const spansOf = (traces: ReadonlyArray<any>): ReadonlyArray<any> =>
  traces.flatMap(({ resourceSpans }) => resourceSpans[0].scopeSpans[0].spans)
const metricsOf = (data: any): ReadonlyArray<any> => data?.resourceMetrics[0].scopeMetrics[0].metrics ?? []

const hasAllSignals = (paths: string) =>
  /v1\/logs/.test(paths) && /v1\/traces/.test(paths) && /v1\/metrics.*metrics/.test(paths)

for (const [protocol, compression] of [
  ["http/json", "none"],
  ["http/protobuf", "gzip"]
] as const) {
  describe(`decoded by OpenTelemetry's definitions, ${protocol} with compression ${compression}`, () => {
    it.live("events, acquires and metrics are complete, without undefined fields", () =>
      Effect.gen(function* () {
        const { logs, metrics, pid, traces } = yield* exportedBy(
          {
            AGENT_SECRETS_EVENTS_MIN_LEVEL: "debug",
            OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
            OTEL_EXPORTER_OTLP_COMPRESSION: compression
          },
          hasAllSignals
        )

        for (const { resource } of [
          logs[0].resourceLogs[0],
          traces[0].resourceSpans[0],
          metrics[0].resourceMetrics[0]
        ]) {
          const { "host.name": host, "service.instance.id": instance, ...others } = attributesOf(resource)
          assert.match(instance, /^[0-9a-f-]{36}$/)
          assert.isNotEmpty(host)
          assert.deepInclude(others, {
            "service.name": "agent-secrets",
            "service.version": version,
            "process.pid": String(pid)
          })
        }

        const records = recordsOf(logs)
        const leaseEvents = ["acquired", "acquired", "replaced", "acquired", "acquired", "refused", "revoked"].map(
          (what) => `lease.${what}`
        )
        const names = ["daemon.started", ...leaseEvents, "secret.rotated", "killswitch.activated", "daemon.stopped"]
        assert.deepStrictEqual(
          records.map((record) => attributesOf(record)["event.name"]),
          names
        )
        // Effect's protobuf has no such field; the attribute replaces it.
        if (protocol === "http/json") {
          assert.deepStrictEqual(
            records.map(({ eventName }) => eventName),
            names
          )
        }
        const times = records.map(({ timeUnixNano }) => BigInt(timeUnixNano))
        assert.isTrue(times.every((time, n) => n === 0 || time >= (times[n - 1] ?? 0n)))

        const spans = spansOf(traces)
        assert.deepStrictEqual(
          spans.map((span) => [span.name, attributesOf(span)["outcome"], span.status.code]),
          [
            ["acquire", "issued", 1],
            ["acquire", "issued", 1],
            ["acquire", "replaced", 1],
            ["acquire", "issued", 1],
            ["acquire", "refused", 2]
          ]
        )
        assert.deepStrictEqual([records[1].traceId, records[1].spanId], [spans[0].traceId, spans[0].spanId])

        for (const { gauge, name, sum, unit } of metricsOf(metrics.at(-1))) {
          const kind = sum ? "counter" : gauge ? "gauge" : "histogram"
          assert.isTrue(
            instruments.some((one) => one.name === name && one.kind === kind && one.unit === unit),
            `${kind} ${name} in ${unit}`
          )
        }
        const [acquires] = metricsOf(metrics.at(-1)).filter(({ name }) => name === "agent_secrets.lease.acquires")
        assert.deepStrictEqual([acquires.sum.aggregationTemporality, acquires.sum.dataPoints[0].asDouble], [2, 4])
      })
    )
  })
}

describe("decoded by OpenTelemetry's definitions, with delta temporality", () => {
  it.live("metrics add up to what happened, and each interval begins where the last one ended", () =>
    Effect.gen(function* () {
      const { metrics } = yield* exportedBy(
        { OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "delta", OTEL_LOGS_EXPORTER: "none" },
        (paths) => /v1\/metrics.*metrics.*metrics/.test(paths)
      )
      const points = (name: string): ReadonlyArray<any> =>
        metrics.flatMap((data) =>
          metricsOf(data)
            .filter((metric) => metric.name === name)
            .flatMap(({ histogram, sum }) => {
              assert.strictEqual((histogram ?? sum).aggregationTemporality, 1)
              return (histogram ?? sum).dataPoints
            })
        )
      const total = (name: string) =>
        points(name).reduce((all, point) => all + Number(point.asDouble ?? point.count), 0)
      assert.strictEqual(total("agent_secrets.lease.acquires"), 4)
      assert.strictEqual(total("agent_secrets.lease.acquire.duration"), 4)
      const spans = points("agent_secrets.lease.acquires").map((point) => [point.startTimeUnixNano, point.timeUnixNano])
      assert.isTrue(
        spans.every(([begins], n) => n === 0 || begins === spans[n - 1]?.[1]),
        String(spans)
      )
    })
  )
})
