/**
 * OpenTelemetry by Effect's own modules: events as logs, acquires as spans, and the
 * figures. Loaded only where an endpoint is configured.
 *
 * The daemon's own log lines are not sent: they are for whoever runs it, and what of
 * them others should know is an event. Of spans, `acquire` is sent and nothing else,
 * so many in each interval; the rest costs what it cost before.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import type { MetricsData } from "effect/observability/OtlpMetrics"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpResource from "effect/observability/OtlpResource"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import { randomUUID } from "node:crypto"
import * as os from "node:os"
import { version } from "../version.ts"
import type { SinkState } from "./delivery.ts"
import { type OtelEvent, sinkDropped } from "./OtelEvent.ts"
import type { Rank } from "./otlpLoad.ts"
import * as OtlpChannel from "./otlpChannel.ts"
import { type Emitted, lengthOf, otlpRecord } from "./otlpRecord.ts"
import { describeTargets, type OtlpSettings, type SignalSettings } from "./otlpSettings.ts"
import { sentSpan, type SpansSent } from "./span.ts"

export interface Otlp {
  readonly emit: (event: OtelEvent) => Effect.Effect<void>
  readonly state: Effect.Effect<SinkState>
  /** Undefined where spans are not sent. */
  readonly spans: SpansSent | undefined
}

/**
 * Events of one second that are sent. To encode one costs 3 us as JSON and 31 us as protobuf: with so many, a flood of
 * leases costs less than a percent of the processor, and nobody waits longer than 8 ms for it. The audit log has them all.
 */
const eventsPerSecond = 250
/** Spans of one second: enough to see how acquires go, for about the same price each. */
const spansPerSecond = 50
/** One for each process, as the figures are. */
const instanceId = randomUUID()

/** Sends until the scope ends; that takes a second at the most. */
export const startOtlp = Effect.fnUntraced(function* (settings: OtlpSettings) {
  const { logs, metrics, traces } = settings.signals
  const resource = resourceOf(settings)
  // The signals end side by side, so that they take no longer together than one of them.
  const scope = yield* Scope.make("parallel")
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const within = <A, E, R>(channel: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Scope.fork(scope), (own) => Scope.provide(channel, own))

  const events = logs === undefined ? undefined : yield* within(openEvents(logs, resource))
  const spans = traces === undefined ? undefined : yield* within(openSpans(traces, resource))
  const figures =
    metrics === undefined ? undefined : yield* within(openMetrics(metrics, resource, settings.temporality))

  const otlp: Otlp = {
    emit: events === undefined ? () => Effect.void : emitter(events),
    state: Effect.sync(() => ({
      kind: "otlp",
      target: describeTargets(settings),
      sent: events?.load.sent ?? 0,
      dropped: events?.load.lost ?? 0,
      queued: events?.load.waiting ?? 0,
      lastFailure: (events ?? spans ?? figures)?.load.lastFailure
    })),
    spans: spans === undefined ? undefined : selective(spans, settings.spanRatio, yield* Clock.Clock)
  }
  return otlp
})

interface Resource {
  readonly serviceName: string
  readonly serviceVersion: string
  readonly attributes: Record<string, unknown>
}

/** Whoever set an attribute knows better. */
const resourceOf = ({ attributes, serviceName }: OtlpSettings): Resource => ({
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

const serializationOf = ({ protocol }: SignalSettings) =>
  protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf

const open = <A>(
  settings: SignalSettings,
  channel: Omit<OtlpChannel.ChannelOptions<A>, "settings" | "serialization">,
  change: (
    serialization: OtlpSerialization.OtlpSerialization["Service"]
  ) => OtlpSerialization.OtlpSerialization["Service"] = (same) => same
) =>
  Effect.flatMap(OtlpSerialization.OtlpSerialization, (serialization) =>
    OtlpChannel.open({ ...channel, settings, serialization: change(serialization) })
  ).pipe(Effect.provide(serializationOf(settings)))

const exporterOptions = ({ compression, headers, url }: SignalSettings) => ({
  url,
  headers,
  compression,
  exportInterval: OtlpChannel.never,
  shutdownTimeout: "1 millis" as const
})

interface Records {
  readonly push: (record: Emitted) => void
}

const openEvents = (settings: SignalSettings, resource: Resource) => {
  const sender = Effect.gen(function* () {
    const serialization = yield* OtlpSerialization.OtlpSerialization
    const about = yield* OtlpResource.fromConfig(resource)
    const exporter: Records = yield* OtlpExporter.make({
      ...exporterOptions(settings),
      label: "Events",
      maxBatchSize: Number.POSITIVE_INFINITY,
      body: (emitted) => {
        const scopeLogs = [{ scope: { name: "agent-secrets", version }, logRecords: emitted.map(otlpRecord) }]
        return [serialization.logs({ resourceLogs: [{ resource: about, scopeLogs }] }), Effect.void]
      }
    })
    return exporter
  })
  return Effect.flatMap(Clock.Clock, (clock) =>
    open(settings, {
      signal: "logs",
      perSecond: eventsPerSecond,
      make: sender,
      tellLost: ({ push }, lost) => {
        push({ event: sinkDropped(lost), nanos: clock.currentTimeNanosUnsafe(), span: undefined })
      }
    })
  )
}

/** What is not let in costs no more than finding that out; records are made when they are sent. */
const emitter =
  ({ exporter, load }: OtlpChannel.Channel<Records>) =>
  (event: OtelEvent): Effect.Effect<void> =>
    Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      if (load.admit(rankOf(event), lengthOf(event), clock.currentTimeMillisUnsafe())) {
        exporter.push({ event, nanos: clock.currentTimeNanosUnsafe(), span: sentSpan(fiber) })
      }
      return Effect.void
    })

/** Leases are many, the daemon is one. */
const rankOf = ({ component, level }: OtelEvent): Rank =>
  component === "daemon" ? "rare" : level === "debug" ? "routine" : "usual"

const openSpans = (settings: SignalSettings, resource: Resource) => {
  const options = { ...exporterOptions(settings), resource, maxBatchSize: Number.POSITIVE_INFINITY }
  return open(settings, { signal: "traces", perSecond: spansPerSecond, make: OtlpTracer.make(options) })
}

/**
 * Sends so many as there is room for; of those, so many as `ratio` says, evenly. By the specification the number of the trace
 * decides, so that all who have a part in it decide alike; this one has no others.
 */
const selective = (
  { exporter, load }: OtlpChannel.Channel<Tracer.Tracer>,
  ratio: number,
  clock: Clock.Clock
): SpansSent => {
  // From the middle: sums of tenths are a little less than they should be.
  let owed = ratio / 2
  return {
    // What libraries make of spans below ours is not counted, so it is not sent.
    tracer: Tracer.make({
      span: (options) => (Option.isNone(options.parent) ? exporter : Tracer.nativeTracer).span(options)
    }),
    isNext: () => {
      owed += ratio
      if (owed < 1) return false
      owed -= 1
      return load.admit("usual", 0, clock.currentTimeMillisUnsafe())
    }
  }
}

const openMetrics = (settings: SignalSettings, resource: Resource, temporality: OtlpSettings["temporality"]) => {
  const options = { ...exporterOptions(settings), resource, temporality }
  return open(settings, { signal: "metrics", perSecond: 0, make: OtlpMetrics.make(options) }, (serialization) => ({
    ...serialization,
    metrics: (data) => serialization.metrics(tidy(data))
  }))
}

/** Effect repeats the unit as an attribute of each point, and shows an empty histogram's bounds as the largest numbers there are. */
const tidy = (data: MetricsData): MetricsData => {
  for (const { scopeMetrics } of data.resourceMetrics) {
    for (const { gauge, histogram, sum } of scopeMetrics.flatMap(({ metrics }) => metrics)) {
      for (const point of [gauge, sum, histogram].flatMap((one) => one?.dataPoints ?? [])) {
        point.attributes = point.attributes?.filter(({ key }) => key !== "unit") ?? []
      }
      for (const point of histogram?.dataPoints ?? []) {
        if (point.count !== 0) continue
        delete point.min
        delete point.max
      }
    }
  }
  return data
}
