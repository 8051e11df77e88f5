/**
 * The figures of the daemon: what is counted and measured, under OpenTelemetry's
 * names and units. `instruments` is the whole list.
 *
 * Counting costs well under a microsecond and goes on whether anybody reads it or not; the
 * figures belong to the process. How many series there are does not depend on what
 * clients send: reasons are a closed list, and secrets beyond a hundred are one.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

/** One figure, as the documentation lists it. */
export interface Instrument {
  readonly name: string
  readonly kind: "counter" | "gauge" | "histogram"
  /** In UCUM; what is in braces is only a remark. */
  readonly unit: string
  readonly description: string
  /** What tells its series apart. */
  readonly attribute?: string
}

export const instruments: Array<Instrument> = []

type Described = Omit<Instrument, "kind">

const listed = ({ name, unit, description, attribute }: Described, kind: Instrument["kind"]) => {
  instruments.push({ name, kind, unit, description, ...(attribute === undefined ? {} : { attribute }) })
  return { description, attributes: { unit } }
}

const counter = (what: Described) => Metric.counter(what.name, { ...listed(what, "counter"), incremental: true })
const gauge = (what: Described) => Metric.gauge(what.name, listed(what, "gauge"))
const histogram = (what: Described, boundaries: ReadonlyArray<number>) =>
  Metric.histogram(what.name, { ...listed(what, "histogram"), boundaries })

/** A figure with one series for each of some words. The words must be few. */
const byWord = <M>(what: Described, kind: Instrument["kind"], make: (name: string, options: object) => M) => {
  const { attributes, description } = listed(what, kind)
  const series = new Map<string, M>()
  return (word: string): M => {
    let one = series.get(word)
    if (one === undefined) {
      one = make(what.name, {
        description,
        incremental: true,
        attributes: { ...attributes, [what.attribute ?? ""]: word }
      })
      series.set(word, one)
    }
    return one
  }
}

/** From half a millisecond, which a flush takes on a fast disk, to the end of a client's patience. */
const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

const acquires = counter({
  name: "agent_secrets.lease.acquires",
  unit: "{lease}",
  description: "Leases issued"
})
const replacements = counter({
  name: "agent_secrets.lease.replacements",
  unit: "{lease}",
  description: "Leases ended because a new one of the same pair was issued"
})
const expiries = counter({
  name: "agent_secrets.lease.expiries",
  unit: "{lease}",
  description: "Leases whose time was over, as the sweep found them"
})
const revocations = counter({
  name: "agent_secrets.lease.revocations",
  unit: "{lease}",
  description: "Leases ended on purpose, also with their secret or all at once"
})
const acquireDuration = histogram(
  {
    name: "agent_secrets.lease.acquire.duration",
    unit: "s",
    description: "From the request for a lease to its entry on the disk, for leases issued"
  },
  seconds
)
const refusals = byWord(
  {
    name: "agent_secrets.request.refusals",
    unit: "{request}",
    description: "Requests answered with an error, by what was wrong",
    attribute: "error.type"
  },
  "counter",
  (name, options) => Metric.counter(name, options)
)
const flushDuration = histogram(
  {
    name: "agent_secrets.audit.flush.duration",
    unit: "s",
    description: "Writing entries of the audit log to the disk"
  },
  seconds
)
const flushSize = histogram(
  { name: "agent_secrets.audit.batch.size", unit: "{entry}", description: "Entries of the audit log written at once" },
  [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
)
const flushFailures = counter({
  name: "agent_secrets.audit.failures",
  unit: "{flush}",
  description: "Writes of the audit log that failed"
})
const sinkDropped = counter({
  name: "agent_secrets.sink.dropped",
  unit: "{event}",
  description: "Events that were to be sent and never arrived"
})
const queued = byWord(
  {
    name: "agent_secrets.sink.queue.size",
    unit: "{event}",
    description: "Events that wait to be sent",
    attribute: "sink"
  },
  "gauge",
  (name, options) => Metric.gauge(name, options)
)
const processStart = gauge({
  name: "process.start_time",
  unit: "s",
  description: "When the daemon started, in seconds since 1970"
})
const activeLeases = {
  name: "agent_secrets.lease.active",
  unit: "{lease}",
  description: "Active leases of a secret; _OTHER is all secrets beyond the hundred with the most",
  attribute: "secret.name"
}
const activeOptions = listed(activeLeases, "gauge")

/**
 * Always this context, so always the registry of the process: to look for another one in the fiber's own, at each
 * figure of each acquire, could be seen in how many acquires there are in a second.
 */
const context = Context.empty()

const update = (run: () => void): Effect.Effect<void> => Effect.sync(run)

/** Forgets all figures, for tests. */
export const resetMetrics = update(() => Context.get(context, Metric.MetricRegistry).clear())

export const countAcquire = (took: Duration.Duration, replaced: number) =>
  update(() => {
    acquires.updateUnsafe(1, context)
    acquireDuration.updateUnsafe(Duration.toSeconds(took), context)
    if (replaced > 0) replacements.updateUnsafe(replaced, context)
  })

export const countExpiries = (count: number) => update(() => expiries.updateUnsafe(count, context))

export const countRevocations = (count: number) => update(() => revocations.updateUnsafe(count, context))

/** `reason` is the name of a class of errors, so there are few of them. */
export const countRefusal = (reason: string) => update(() => refusals(reason).updateUnsafe(1, context))

export const recordFlush = (entries: number, took: Duration.Duration) =>
  update(() => {
    flushSize.updateUnsafe(entries, context)
    flushDuration.updateUnsafe(Duration.toSeconds(took), context)
  })

export const countFlushFailure = update(() => flushFailures.updateUnsafe(1, context))

/** So many in all, since the daemon started. */
export const setEventsDropped = (count: number) =>
  update(() => sinkDropped.updateUnsafe(count - Number(sinkDropped.valueUnsafe(context).count), context))

export const setEventsQueued = (sink: "joelclaw" | "otlp", count: number) =>
  update(() => queued(sink).updateUnsafe(count, context))

/** Secrets that have a series of their own: what a dashboard can show, and nothing that grows with the store. */
const namedAtMost = 100

/** Sets how many leases each secret has; whatever was set before and is not in it is gone. `total` may be more than they have. */
export const setActiveLeases = (bySecret: ReadonlyArray<readonly [name: string, count: number]>, total: number) =>
  update(() => {
    const named = new Map(
      bySecret
        .filter(([, count]) => count > 0)
        .toSorted(([, a], [, b]) => b - a)
        .slice(0, namedAtMost)
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

/** Has every figure that has no words shown from the beginning, and says when that was. */
export const startMetrics = (startedAtMillis: number) =>
  update(() => {
    const all = [acquires, replacements, expiries, revocations, flushFailures, sinkDropped]
    for (const one of all) one.updateUnsafe(0, context)
    for (const one of [acquireDuration, flushDuration, flushSize]) one.valueUnsafe(context)
    processStart.updateUnsafe(startedAtMillis / 1000, context)
  })

/** As Prometheus reads it: its own names for units, and `_total` for what only grows. */
export const prometheusText: Effect.Effect<string> = Effect.flatMap(
  // Loaded when somebody asks: it brings an HTTP router with it.
  Effect.promise(() => import("effect/observability/PrometheusMetrics")),
  ({ format }) => format({ metricNameMapper: prometheusName })
)

export const prometheusName = (name: string): string => {
  const instrument = instruments.find((one) => one.name === name)
  const unit = instrument?.unit === "s" ? "_seconds" : ""
  return `${name}${unit}${instrument?.kind === "counter" ? "_total" : ""}`
}
