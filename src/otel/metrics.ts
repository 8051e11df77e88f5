/**
 * The metrics of the daemon, with OpenTelemetry's names and units. `instruments` lists
 * all of them.
 *
 * They belong to the process and are recorded whether or not they are exported. Their
 * cardinality does not depend on clients: error types are a closed list, and the secrets
 * beyond a hundred share one series.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Metric from "effect/Metric"

/** One metric, as docs/events.md lists it. */
export interface Instrument {
  readonly name: string
  readonly kind: "counter" | "gauge" | "histogram"
  /** In UCUM, where braces are annotations. */
  readonly unit: string
  readonly description: string
  /** The attribute that distinguishes its series. */
  readonly attribute?: string
}

export const instruments: Array<Instrument> = []

type Description = Omit<Instrument, "kind">

const register = ({ name, unit, description, attribute }: Description, kind: Instrument["kind"]) => {
  instruments.push({ name, kind, unit, description, ...(attribute === undefined ? {} : { attribute }) })
  return { description, attributes: { unit } }
}

const counter = (metric: Description) =>
  Metric.counter(metric.name, { ...register(metric, "counter"), incremental: true })
const gauge = (metric: Description) => Metric.gauge(metric.name, register(metric, "gauge"))
const histogram = (metric: Description, boundaries: ReadonlyArray<number>) =>
  Metric.histogram(metric.name, { ...register(metric, "histogram"), boundaries })

/** A metric with one series for each value of its attribute, of which there must be few. */
const byAttribute = <M>(metric: Description, kind: Instrument["kind"], make: (name: string, options: object) => M) => {
  const { attributes, description } = register(metric, kind)
  const series = new Map<string, M>()
  return (value: string): M => {
    let one = series.get(value)
    if (one === undefined) {
      one = make(metric.name, {
        description,
        incremental: true,
        attributes: { ...attributes, [metric.attribute ?? ""]: value }
      })
      series.set(value, one)
    }
    return one
  }
}

/** From a flush on a fast disk to the timeout of a client. */
const secondsBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

const acquires = counter({
  name: "agent_secrets.lease.acquires",
  unit: "{lease}",
  description: "Leases issued"
})
const replacements = counter({
  name: "agent_secrets.lease.replacements",
  unit: "{lease}",
  description: "Leases replaced by a new one of the same client and secret"
})
const expiries = counter({
  name: "agent_secrets.lease.expiries",
  unit: "{lease}",
  description: "Leases that expired, counted by the sweep"
})
const revocations = counter({
  name: "agent_secrets.lease.revocations",
  unit: "{lease}",
  description: "Leases revoked, also with their secret or by the killswitch"
})
const acquireDuration = histogram(
  {
    name: "agent_secrets.lease.acquire.duration",
    unit: "s",
    description: "Time from a request to its flushed audit entry, for leases issued"
  },
  secondsBoundaries
)
const refusals = byAttribute(
  {
    name: "agent_secrets.request.refusals",
    unit: "{request}",
    description: "Requests that failed, by error type",
    attribute: "error.type"
  },
  "counter",
  (name, options) => Metric.counter(name, options)
)
const flushDuration = histogram(
  {
    name: "agent_secrets.audit.flush.duration",
    unit: "s",
    description: "Time to write a batch of audit entries to the disk"
  },
  secondsBoundaries
)
const flushSize = histogram(
  { name: "agent_secrets.audit.batch.size", unit: "{entry}", description: "Audit entries in one write" },
  [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
)
const flushFailures = counter({
  name: "agent_secrets.audit.failures",
  unit: "{flush}",
  description: "Failed writes of the audit log"
})
const sinkDropped = counter({
  name: "agent_secrets.sink.dropped",
  unit: "{event}",
  description: "Events that were dropped"
})
const queued = byAttribute(
  {
    name: "agent_secrets.sink.queue.size",
    unit: "{event}",
    description: "Events in the queue of each receiver",
    attribute: "sink"
  },
  "gauge",
  (name, options) => Metric.gauge(name, options)
)
const processStart = gauge({
  name: "process.start_time",
  unit: "s",
  description: "Start of the daemon, in seconds since the Unix epoch"
})
const activeLeases = {
  name: "agent_secrets.lease.active",
  unit: "{lease}",
  description: "Active leases by secret; _OTHER is the sum of all secrets beyond the hundred with the most",
  attribute: "secret.name"
}
const activeOptions = register(activeLeases, "gauge")

/** Always the registry of the process. To look it up in the fiber at each update measurably slows an acquire. */
const context = Context.empty()

const update = (run: () => void): Effect.Effect<void> => Effect.sync(run)

/** Removes all metrics, for tests. */
export const resetMetrics = update(() => Context.get(context, Metric.MetricRegistry).clear())

export const countAcquire = (took: Duration.Duration, replaced: number) =>
  update(() => {
    acquires.updateUnsafe(1, context)
    acquireDuration.updateUnsafe(Duration.toSeconds(took), context)
    if (replaced > 0) replacements.updateUnsafe(replaced, context)
  })

export const countExpiries = (count: number) => update(() => expiries.updateUnsafe(count, context))

export const countRevocations = (count: number) => update(() => revocations.updateUnsafe(count, context))

/** The error type is the name of a class, so its cardinality is low. */
export const countRefusal = (errorType: string) => update(() => refusals(errorType).updateUnsafe(1, context))

export const recordFlush = (entries: number, took: Duration.Duration) =>
  update(() => {
    flushSize.updateUnsafe(entries, context)
    flushDuration.updateUnsafe(Duration.toSeconds(took), context)
  })

export const countFlushFailure = update(() => flushFailures.updateUnsafe(1, context))

/** Sets the total since the daemon started. */
export const setEventsDropped = (count: number) =>
  update(() => sinkDropped.updateUnsafe(count - Number(sinkDropped.valueUnsafe(context).count), context))

export const setEventsQueued = (sink: "joelclaw" | "otlp", count: number) =>
  update(() => queued(sink).updateUnsafe(count, context))

/** Bounds the cardinality to what a dashboard can show. */
const maxNamedSecrets = 100

/** Replaces the counts of all secrets. What `total` has beyond them is counted as _OTHER. */
export const setActiveLeases = (bySecret: ReadonlyArray<readonly [name: string, count: number]>, total: number) =>
  update(() => {
    const named = new Map(
      bySecret
        .filter(([, count]) => count > 0)
        .toSorted(([, a], [, b]) => b - a)
        .slice(0, maxNamedSecrets)
    )
    const others = total - [...named.values()].reduce((sum, count) => sum + count, 0)
    if (others > 0 || named.size === 0) named.set("_OTHER", others)
    const registry = Context.get(context, Metric.MetricRegistry)
    for (const [key, { attributes, id }] of registry) {
      if (id === activeLeases.name && !named.has(attributes?.["secret.name"] ?? "")) registry.delete(key)
    }
    for (const [name, count] of named) {
      const attributes = { ...activeOptions.attributes, "secret.name": name }
      Metric.gauge(activeLeases.name, { ...activeOptions, attributes }).updateUnsafe(count, context)
    }
  })

/** Creates each metric without attributes, so that it is exported before its first update. */
export const startMetrics = (startedAtMillis: number) =>
  update(() => {
    const all = [acquires, replacements, expiries, revocations, flushFailures, sinkDropped]
    for (const one of all) one.updateUnsafe(0, context)
    for (const one of [acquireDuration, flushDuration, flushSize]) one.valueUnsafe(context)
    processStart.updateUnsafe(startedAtMillis / 1000, context)
  })

/** All metrics in the Prometheus text format. */
export const prometheusText: Effect.Effect<string> = Effect.suspend(() =>
  PrometheusMetrics.format({ metricNameMapper: prometheusName })
)

export const prometheusName = (name: string): string => {
  const instrument = instruments.find((one) => one.name === name)
  const unit = instrument?.unit === "s" ? "_seconds" : ""
  return `${name}${unit}${instrument?.kind === "counter" ? "_total" : ""}`
}
