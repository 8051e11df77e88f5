/**
 * Exports to an OpenTelemetry collector: events as log records, acquires as spans, and
 * metrics. Loaded only where an endpoint is configured. Of events and spans, a bounded
 * number a second is exported; the audit log has all of them. The daemon's own log lines are
 * not exported.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpResource from "effect/observability/OtlpResource"
import { OtlpSerialization } from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import { randomUUID } from "node:crypto"
import * as os from "node:os"
import { fromMillis } from "../domain/Timestamp.ts"
import { version } from "../version.ts"
import type { SinkState } from "./delivery.ts"
import { type OtelEvent, sinkDropped } from "./OtelEvent.ts"
import { ExportBudget, type ExporterOptions, exportSignal, type SignalOptions } from "./otlpExporter.ts"
import { describeTargets, type OtlpSettings } from "./otlpSettings.ts"
import { exportedSpan, sampleEvenly } from "./span.ts"

/** With these, exporting takes a small part of one processor, however many leases are acquired. */
const [eventsPerSecond, spansPerSecond] = [250, 50]
/** One for each process, as its metrics are. */
const instanceId = randomUUID()

/** Exports until the scope ends, which takes at most a second. */
export const startOtlp = Effect.fnUntraced(function* (settings: OtlpSettings) {
  const { logs, metrics, traces } = settings.signals
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const resource = resourceOf(settings)
  const invalid =
    settings.warnings.length === 0 ? undefined : { at: fromMillis(now()).text, reason: settings.warnings.join("; ") }
  // Closed in parallel, so that all signals together take no longer than one.
  const scope = yield* Scope.make("parallel")
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const start = <A>(options: SignalOptions<A>) =>
    Effect.flatMap(Scope.fork(scope), (own) => Scope.provide(exportSignal(options), own))

  const events =
    logs &&
    (yield* start({
      settings: logs,
      make: (options) => makeEventExporter({ ...options, resource }),
      reportDropped: ({ push }, count) => push(logRecord(sinkDropped(count), clock))
    }))
  const spans =
    traces && (yield* start({ settings: traces, make: (options) => OtlpTracer.make({ ...options, resource }) }))
  const series =
    metrics &&
    (yield* start({
      settings: metrics,
      make: (options) => makeMetricExporter({ ...options, resource, temporality: settings.temporality })
    }))

  return {
    emit: (event: OtelEvent): Effect.Effect<void> =>
      Effect.withFiber((fiber) => {
        const length = () => Object.values(event.metadata).join("").length
        const time = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
        if (events?.budget.admit(eventsPerSecond, shareOf(event), time, length) === true) {
          events.exporter.push(logRecord(event, clock, exportedSpan(fiber)))
        }
        return Effect.void
      }),
    state: Effect.sync((): SinkState => {
      const { dropped, queued, sent } = events?.budget ?? new ExportBudget()
      const lastFailure = latestOf([events?.lastFailure(), spans?.lastFailure(), series?.lastFailure(), invalid])
      return { kind: "otlp", target: describeTargets(settings) || undefined, sent, dropped, queued, lastFailure }
    }),
    spans: spans && {
      tracer: spans.exporter,
      isSampled: sampleEvenly(settings.spanRatio, () => spans.budget.admit(spansPerSecond, 1, now(), () => 0))
    }
  }
})

const latestOf = (failures: ReadonlyArray<SinkState["lastFailure"]>): SinkState["lastFailure"] =>
  failures
    .filter((failure) => failure !== undefined)
    .toSorted((a, b) => (a.at < b.at ? 1 : -1))
    .at(0)

/** Returns the share of the budget: routine gets half of it, and the few events of the daemon itself are always admitted. */
const shareOf = ({ component, level }: OtelEvent): number =>
  component === "daemon" ? Number.POSITIVE_INFINITY : level === "debug" ? 0.5 : 1

/** Returns the attributes, of which configured ones take precedence over those that are detected. */
const resourceOf = ({ attributes, serviceName }: OtlpSettings) => ({
  serviceName,
  serviceVersion: attributes["service.version"] ?? version,
  attributes: {
    "service.instance.id": instanceId,
    "process.pid": process.pid,
    "process.runtime.name": "nodejs",
    "process.runtime.version": process.versions.node,
    "host.name": os.hostname(),
    "host.arch": process.arch === "x64" ? "amd64" : process.arch,
    "os.type": process.platform,
    ...attributes
  }
})

const makeEventExporter = Effect.fnUntraced(function* (
  options: ExporterOptions & { readonly resource: ReturnType<typeof resourceOf> }
) {
  const serialization = yield* OtlpSerialization
  const resource = OtlpResource.make(options.resource)
  const scope = { name: "agent-secrets", version }
  return yield* OtlpExporter.make({
    ...options,
    label: "Events",
    body: (logRecords) => [
      serialization.logs({ resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords }] }] }),
      Effect.void
    ]
  })
})

/** Spans and metrics have these too, as `secret.name` and so on; all others are in our namespace. */
const sharedAttributes = new Set(["secretName", "clientId", "leaseId"])

const severityNumbers = { debug: 5, info: 9, warn: 13, error: 17 } as const

/** Encodes an event as a log record, by OpenTelemetry's semantic conventions. Effect's protobuf has no field for `eventName`. */
const logRecord = (
  { action, component, error, level, metadata, success }: OtelEvent,
  clock: Clock.Clock,
  span?: { readonly traceId: string; readonly spanId: string }
) => {
  const time = String(clock.currentTimeNanosUnsafe())
  const attributes: Array<[string, unknown]> = [["event.name", action]]
  if (error !== undefined) attributes.push(["error.message", error])
  for (const [key, value] of Object.entries({ component, success, ...metadata })) {
    const name = key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    if (value === undefined) continue
    attributes.push([sharedAttributes.has(key) ? name.replace("_", ".") : `agent_secrets.${name}`, value])
  }
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber: severityNumbers[level],
    severityText: level.toUpperCase(),
    eventName: action,
    body: { stringValue: error ?? action },
    attributes: OtlpResource.entriesToAttributes(attributes),
    droppedAttributesCount: 0,
    ...(span === undefined ? {} : { traceId: span.traceId, spanId: span.spanId })
  }
}

const makeMetricExporter = (options: Parameters<typeof OtlpMetrics.make>[0]) =>
  Effect.updateService(OtlpMetrics.make(options), OtlpSerialization, (serialization) => ({
    ...serialization,
    metrics: (data) => serialization.metrics(correct(data))
  }))

/** Removes the unit that Effect repeats as an attribute, and the extrema of an empty histogram. */
const correct = (data: OtlpMetrics.MetricsData): OtlpMetrics.MetricsData => {
  const metrics = data.resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
  for (const point of metrics.flatMap(({ gauge, histogram, sum }) => (gauge ?? histogram ?? sum)?.dataPoints ?? [])) {
    point.attributes = point.attributes?.filter(({ key }) => key !== "unit") ?? []
    if (!("count" in point) || point.count > 0) continue
    delete point.min
    delete point.max
  }
  return data
}
