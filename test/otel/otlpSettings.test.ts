/**
 * The OTEL_* variables and the section `otlp` of config.json: defaults, precedence, and
 * what an invalid variable leaves out.
 */
import { assert, describe, it } from "@effect/vitest"
import { millisecond } from "../../src/domain/GoDuration.ts"
import type { OtlpConfig } from "../../src/domain/TelemetryConfig.ts"
import { describeTargets, otlpSettings } from "../../src/otel/otlpSettings.ts"

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" }
const settingsOf = (environment: Record<string, string>) => {
  const settings = otlpSettings(environment)
  if (settings === undefined) throw new Error("no endpoint is configured")
  return settings
}

describe("the OTEL_* variables", () => {
  it("configure nothing without an endpoint", () => {
    for (const environment of [
      {},
      { OTEL_EXPORTER_OTLP_ENDPOINT: "" },
      { OTEL_SERVICE_NAME: "x", OTEL_EXPORTER_OTLP_HEADERS: "a=b" },
      { ...endpoint, OTEL_SDK_DISABLED: "TRUE" }
    ]) {
      assert.isUndefined(otlpSettings(environment))
    }
  })

  it("give each signal its path below the endpoint, and the defaults of the specification", () => {
    const { warnings, serviceName, signals, temporality } = settingsOf(endpoint)
    assert.deepStrictEqual(signals.logs, {
      signal: "logs",
      url: "http://127.0.0.1:4318/v1/logs",
      protocol: "http/json",
      headers: {},
      compression: "none",
      timeout: 10_000,
      interval: 1000
    })
    assert.deepStrictEqual([signals.traces?.url, signals.traces?.interval], ["http://127.0.0.1:4318/v1/traces", 5000])
    assert.deepStrictEqual(
      [signals.metrics?.url, signals.metrics?.interval],
      ["http://127.0.0.1:4318/v1/metrics", 60_000]
    )
    assert.deepStrictEqual([serviceName, temporality, warnings], ["agent-secrets", "cumulative", []])
  })

  it("take precedence for one signal over those for all signals", () => {
    const { signals } = settingsOf({
      OTEL_EXPORTER_OTLP_ENDPOINT: "https://collector.example/base/",
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://127.0.0.1:9/exactly-this",
      OTEL_EXPORTER_OTLP_HEADERS: "a=1",
      OTEL_EXPORTER_OTLP_LOGS_HEADERS: "b=two%20words, c = 3",
      OTEL_EXPORTER_OTLP_TIMEOUT: "500",
      OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: "250",
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/protobuf",
      OTEL_EXPORTER_OTLP_COMPRESSION: "gzip"
    })
    assert.deepInclude(signals.logs, {
      url: "http://127.0.0.1:9/exactly-this",
      headers: { b: "two words", c: "3" },
      timeout: 500,
      protocol: "http/json",
      compression: "gzip"
    })
    assert.deepInclude(signals.traces, {
      url: "https://collector.example/base/v1/traces",
      headers: { a: "1" },
      timeout: 250,
      protocol: "http/protobuf"
    })
  })

  it("disable single signals", () => {
    const { warnings, signals } = settingsOf({
      ...endpoint,
      OTEL_LOGS_EXPORTER: "none",
      OTEL_TRACES_EXPORTER: "console,otlp"
    })
    assert.deepStrictEqual([Object.keys(signals), warnings], [["traces", "metrics"], []])
  })

  it("configure nothing if invalid, and cause warnings that quote no value", () => {
    const settings = settingsOf({
      ...endpoint,
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "token-in-no-url",
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "grpc",
      OTEL_EXPORTER_OTLP_HEADERS: "%zz-token=1,fine=2,token-alone",
      OTEL_EXPORTER_OTLP_TIMEOUT: "soon",
      OTEL_METRIC_EXPORT_INTERVAL: "0.5"
    })
    assert.deepStrictEqual(Object.keys(settings.signals), ["metrics"])
    assert.deepInclude(settings.signals.metrics, { headers: { fine: "2" }, timeout: 10_000, interval: 100 })
    assert.lengthOf(settings.warnings, 4)
    assert.notInclude(settings.warnings.join(), "token")
  })

  it("are reported if they are passed over", () => {
    for (const [name, value, warning] of [
      ["OTEL_EXPORTER_OTLP_TIMEOUT", "abc", "must be a number of milliseconds above 0; 10000 is used"],
      ["OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "-1", "must be a number of milliseconds above 0; 10000 is used"],
      ["OTEL_BLRP_SCHEDULE_DELAY", "1s", "must be a number of milliseconds above 0; 1000 is used"],
      ["OTEL_BSP_SCHEDULE_DELAY", "0", "must be a number of milliseconds above 0; 5000 is used"],
      ["OTEL_METRIC_EXPORT_INTERVAL", "Infinity", "must be a number of milliseconds above 0; 60000 is used"],
      ["OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "must be none or gzip; none is used"],
      [
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "lowmemory",
        "must be cumulative or delta; cumulative is used"
      ],
      ["OTEL_SDK_DISABLED", "yes", "must be true or false; it counts as false"],
      ["OTEL_LOGS_EXPORTER", "oltp", "must be otlp or none; logs are not exported"],
      ["OTEL_EXPORTER_OTLP_CERTIFICATE", "/x", "is not supported; name the certificates in NODE_EXTRA_CA_CERTS"],
      ["OTEL_EXPORTER_OTLP_CLIENT_KEY", "/x", "is not supported; it is ignored"]
    ] as const) {
      assert.deepStrictEqual(settingsOf({ ...endpoint, [name]: value }).warnings, [`${name} ${warning}`])
    }
  })

  it("set the ratio of spans", () => {
    const ratio = (sampler: string, arg?: string) => {
      const argument = arg === undefined ? {} : { OTEL_TRACES_SAMPLER_ARG: arg }
      const { warnings, spanRatio } = settingsOf({ ...endpoint, OTEL_TRACES_SAMPLER: sampler, ...argument })
      return [spanRatio, warnings.length]
    }
    assert.strictEqual(settingsOf(endpoint).spanRatio, 1)
    assert.deepStrictEqual(ratio("parentbased_always_off"), [0, 0])
    assert.deepStrictEqual(ratio("traceidratio", "0.25"), [0.25, 0])
    assert.deepStrictEqual(ratio("ParentBased_TraceIdRatio"), [1, 0])
    assert.deepStrictEqual(ratio("traceidratio", "2"), [1, 1])
    assert.deepStrictEqual(ratio("jaeger_remote", "0.25"), [1, 1])
  })

  it("set the name of the service and resource attributes", () => {
    const attributes = "service.name=other,deployment.environment.name=my%20desk"
    assert.deepInclude(settingsOf({ ...endpoint, OTEL_RESOURCE_ATTRIBUTES: attributes }), {
      serviceName: "other",
      attributes: { "deployment.environment.name": "my desk" }
    })
    const both = { ...endpoint, OTEL_RESOURCE_ATTRIBUTES: attributes, OTEL_SERVICE_NAME: "mine" }
    assert.strictEqual(settingsOf(both).serviceName, "mine")
  })

  it("are described without credentials", () => {
    const settings = settingsOf({
      OTEL_EXPORTER_OTLP_ENDPOINT: "https://user:token@collector.example/otlp",
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "https://other.example/in?key=token"
    })
    assert.deepStrictEqual(settings.signals.logs?.headers, { authorization: "Basic dXNlcjp0b2tlbg==" })
    assert.strictEqual(settings.signals.logs?.url, "https://collector.example/otlp/v1/logs")
    assert.strictEqual(
      describeTargets(settings),
      "https://collector.example (logs, traces), https://other.example (metrics)"
    )
  })
})

describe("the section of config.json", () => {
  const section: OtlpConfig = {
    endpoint: "http://127.0.0.1:4318/base",
    protocol: "http/protobuf",
    headers: { authorization: "Bearer a,b=c %41", "x-more": " padded " },
    timeout: 1500n * millisecond,
    signals: ["logs", "metrics"]
  }

  it("applies if the environment sets nothing", () => {
    const settings = otlpSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: " " }, section)
    assert.deepStrictEqual(Object.keys(settings?.signals ?? {}), ["logs", "metrics"])
    assert.deepInclude(settings?.signals.logs, {
      url: "http://127.0.0.1:4318/base/v1/logs",
      protocol: "http/protobuf",
      headers: section.headers,
      timeout: 1500
    })
    assert.deepStrictEqual(settings?.warnings, [])
  })

  it("yields to the environment, variable by variable", () => {
    const settings = otlpSettings(
      {
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: "7",
        OTEL_EXPORTER_OTLP_HEADERS: "a=1",
        OTEL_TRACES_EXPORTER: "otlp"
      },
      section
    )
    assert.deepStrictEqual(Object.keys(settings?.signals ?? {}), ["logs", "traces", "metrics"])
    assert.deepInclude(settings?.signals.metrics, { protocol: "http/json", timeout: 7, headers: { a: "1" } })
    assert.isUndefined(otlpSettings({ OTEL_SDK_DISABLED: "true" }, section))
  })

  it("does not apply to an endpoint of the environment, which gets none of its credentials", () => {
    const settings = otlpSettings({ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://elsewhere/logs" }, section)
    assert.deepStrictEqual(Object.keys(settings?.signals ?? {}), ["logs"])
    assert.deepInclude(settings?.signals.logs, { url: "http://elsewhere/logs", protocol: "http/json", headers: {} })
  })
})
