/**
 * A real daemon and an OpenTelemetry collector on the loopback interface: what is
 * exported, and that no collector disturbs the daemon.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { instruments, prometheusName } from "../../src/otel/metrics.ts"
import { attributesOf, collector, type Behavior } from "../support/collector.ts"
import { leaseOften, rpc, startDaemon } from "../harness/daemon.ts"
import { run } from "../harness/program.ts"
import { promptly } from "../harness/prompt.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { until } from "../support/waiting.ts"

/** The minimum intervals. */
const shortIntervals = {
  OTEL_BLRP_SCHEDULE_DELAY: "100",
  OTEL_BSP_SCHEDULE_DELAY: "100",
  OTEL_METRIC_EXPORT_INTERVAL: "100"
}

describe("with a collector", () => {
  it.live("events, acquires and metrics arrive, with the resource that exports them", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const to = yield* collector()
      const daemon = yield* startDaemon({
        home,
        env: {
          ...shortIntervals,
          AGENT_SECRETS_EVENTS_MIN_LEVEL: "debug",
          OTEL_EXPORTER_OTLP_ENDPOINT: to.url,
          OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20hidden-from-all",
          OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test"
        }
      })
      yield* rpc(daemon.socket, "add", { name: "db", value: "hush-hush" })
      const first = (yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: "c" })).result
      const second = (yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: "c" })).result
      yield* rpc(daemon.socket, "lease", { secret_name: "none", client_id: "c" })
      yield* rpc(daemon.socket, "revoke", { lease_id: second.lease_id })
      yield* until(() => to.points("agent_secrets.lease.revocations")[0]?.asDouble === 1 && to.spans().length === 3)
      const ended = yield* daemon.stop()
      assert.strictEqual(ended.status, 0)

      const events = to.logs()
      assert.deepStrictEqual(
        events.map(({ eventName, severityNumber, severityText }) => [eventName, severityNumber, severityText]),
        [
          ["daemon.started", 9, "INFO"],
          ["lease.acquired", 5, "DEBUG"],
          ["lease.replaced", 9, "INFO"],
          ["lease.acquired", 5, "DEBUG"],
          ["lease.refused", 9, "INFO"],
          ["lease.revoked", 9, "INFO"],
          ["daemon.stopped", 9, "INFO"]
        ]
      )
      assert.deepInclude(attributesOf(events[1]), {
        "event.name": "lease.acquired",
        "agent_secrets.success": true,
        "secret.name": "db",
        "client.id": "c",
        "lease.id": first.lease_id
      })

      const spans = to.spans()
      assert.deepStrictEqual(
        spans.map((span) => [span.name, span.status.code, span.parentSpanId]),
        [
          ["acquire", 1, undefined],
          ["acquire", 1, undefined],
          ["acquire", 2, undefined]
        ]
      )
      assert.deepInclude(attributesOf(spans[1]), { "secret.name": "db", "client.id": "c", outcome: "replaced" })
      assert.deepInclude(attributesOf(spans[2]), { outcome: "refused", "error.type": "SecretNotFound" })
      assert.deepStrictEqual([events[1].traceId, events[1].spanId], [spans[0].traceId, spans[0].spanId])

      // The first request of all may carry metrics: each signal has its own interval.
      const logRequest = to.requests.find(({ path }) => path === "/v1/logs")
      const resource = attributesOf(JSON.parse(String(logRequest?.body)).resourceLogs[0].resource)
      assert.deepInclude(resource, {
        "service.name": "agent-secrets",
        "process.pid": daemon.pid,
        "deployment.environment.name": "test"
      })
      assert.match(resource["service.instance.id"], /^[0-9a-f-]{36}$/)
      assert.isTrue(to.requests.every(({ headers }) => headers.authorization === "Bearer hidden-from-all"))
      const all = Buffer.concat(to.requests.map(({ body }) => body)).toString("utf8") + ended.stderr
      assert.notInclude(all, "hush-hush")
      assert.notInclude(all, "hidden-from-all")
      assert.include(ended.stderr, `events: sent to the OpenTelemetry collector at ${to.url} (logs, traces, metrics)`)
    })
  )

  it.live(
    "metrics arrive at the collector of config.json with their names, units and kinds, and nothing else is exported",
    () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const to = yield* collector()
        const otlp = { endpoint: to.url, headers: { "x-key": "hidden, from=all" }, signals: ["metrics"] }
        fs.mkdirSync(path.join(home, ".agent-secrets"), { mode: 0o700 })
        fs.writeFileSync(path.join(home, ".agent-secrets/config.json"), JSON.stringify({ otlp }))
        const daemon = yield* startDaemon({ home, env: shortIntervals })
        yield* rpc(daemon.socket, "add", { name: "db", value: "x" })
        const begun = performance.now()
        for (const client of ["a", "b", "b"])
          yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: client })
        yield* rpc(daemon.socket, "lease", { secret_name: "none", client_id: "c" })
        const seconds = (performance.now() - begun) / 1_000
        yield* until(() => to.points("agent_secrets.request.refusals").length === 1)
        const value = (name: string) => to.points(name).map((point) => point.asDouble)
        assert.deepStrictEqual(value("agent_secrets.lease.acquires"), [3])
        assert.deepStrictEqual(value("agent_secrets.lease.replacements"), [1])
        assert.deepStrictEqual(attributesOf(to.points("agent_secrets.request.refusals")[0]), {
          "error.type": "SecretNotFound"
        })
        const [latency] = to.points("agent_secrets.lease.acquire.duration")
        assert.strictEqual(Number(latency.count), 3)
        assert.isAbove(latency.sum, 0)
        assert.isBelow(latency.sum, seconds)
        assert.isAtLeast(Number(to.points("agent_secrets.audit.flush.duration")[0].count), 4)
        assert.deepStrictEqual(
          to
            .metrics()
            .map(({ name, unit, sum, gauge }) => [
              name,
              unit,
              sum?.isMonotonic ?? (gauge === undefined ? "histogram" : "gauge")
            ])
            .toSorted(),
          [
            ["agent_secrets.audit.batch.size", "{entry}", "histogram"],
            ["agent_secrets.audit.failures", "{flush}", true],
            ["agent_secrets.audit.flush.duration", "s", "histogram"],
            ["agent_secrets.exposure.clients", "{client}", "gauge"],
            ["agent_secrets.lease.acquire.duration", "s", "histogram"],
            ["agent_secrets.lease.acquires", "{lease}", true],
            ["agent_secrets.lease.active", "{lease}", "gauge"],
            ["agent_secrets.lease.expiries", "{lease}", true],
            ["agent_secrets.lease.replacements", "{lease}", true],
            ["agent_secrets.lease.revocations", "{lease}", true],
            ["agent_secrets.request.refusals", "{request}", true],
            ["agent_secrets.run.active", "{run}", "gauge"],
            ["agent_secrets.run.ends", "{run}", true],
            ["agent_secrets.sink.dropped", "{event}", true],
            ["agent_secrets.sink.queue.size", "{event}", "gauge"],
            ["process.start_time", "s", "gauge"]
          ]
        )
        assert.isTrue(
          to.requests.every(({ headers, path }) => path === "/v1/metrics" && headers["x-key"] === "hidden, from=all")
        )
        const { stderr } = yield* daemon.stop()
        assert.include(stderr, `; other signals go to the OpenTelemetry collector at ${to.url} (metrics)`)
        assert.notInclude(stderr, "hidden")
      })
  )
})

describe("without a collector", () => {
  it.live("secrets status --metrics prints the same metrics and nothing else", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const daemon = yield* startDaemon({ home })
      yield* rpc(daemon.socket, "add", { name: "db", value: "hush-hush" })
      yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: "c" })
      yield* rpc(daemon.socket, "lease", { secret_name: "none", client_id: "c" })
      const printed = yield* run(["status", "--metrics"], { home })
      assert.deepStrictEqual([printed.status, printed.stderr], [0, ""])
      const lines = printed.stdout.split("\n")
      assert.include(lines, "agent_secrets_lease_acquires_total 1")
      assert.include(lines, 'agent_secrets_lease_active{secret_name="db"} 1')
      // A counter with attributes has no value before its first count, and the proxy none before its first run.
      const uncounted = /^agent_secrets\.(run\.notices|open_request\.changes|proxy\..*)$/
      for (const { kind, name } of instruments.filter((one) => !uncounted.test(one.name))) {
        assert.include(lines, `# TYPE ${prometheusName(name).replaceAll(".", "_")} ${kind}`)
      }
      assert.isTrue(lines.some((line) => /^process_start_time_seconds 1[0-9]{9}/.test(line)))
      for (const line of lines) assert.match(line, /^(#.*|[a-z_]+(\{.*\})? [-+0-9.eInf]+|)$/)
      assert.notInclude(printed.stdout, "hush-hush")
      assert.notInclude(daemon.stderr(), "OTLP")
      yield* daemon.stop()
    })
  )
})

for (const behavior of ["absent", "fails", "hangs", "hangs in its answer", "resets", "floods"] as const) {
  describe.concurrent(`with a collector that ${behavior === "absent" ? "does not exist" : behavior}`, () => {
    it.live("the daemon leases as usual and stops in time", () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const to = behavior === "absent" ? undefined : yield* collector(behavior satisfies Behavior)
        const env = { ...shortIntervals, OTEL_EXPORTER_OTLP_ENDPOINT: to?.url ?? "http://127.0.0.1:9" }
        const daemon = yield* startDaemon({ home, env })
        yield* rpc(daemon.socket, "add", { name: "db", value: "x" })
        const all = yield* leaseOften(daemon.socket, 200)
        for (const { result } of all) assert.strictEqual(result.value, "x")
        if (to !== undefined) yield* until(() => to.requests.length >= 3)
        const ended = yield* promptly(2_000, daemon.stop())
        assert.strictEqual(ended.status, 0)
        assert.isAtMost(ended.stderr.split("\n").filter((line) => /OTLP export of \w+ fails/.test(line)).length, 3)
      })
    )
  })
}
