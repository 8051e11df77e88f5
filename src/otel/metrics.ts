/**
 * The metrics of the daemon, named after OpenTelemetry's conventions; `instruments` lists all.
 *
 * They are global to the process and are recorded whether or not they are exported. Clients
 * cannot increase their cardinality: error types are a closed list, and the secrets beyond a
 * hundred share one series.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Metric from "effect/Metric"
import { memoize } from "../domain/memoize.ts"
import type { NoticeKind } from "../domain/Run.ts"

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

/** Lists a metric, and returns the options of its constructor. */
const register = (kind: Instrument["kind"], name: string, unit: string, description: string, attribute?: string) => {
  instruments.push({ name, kind, unit, description, ...(attribute === undefined ? {} : { attribute }) })
  return { description, attributes: { unit } }
}

const makeCounter = (name: string, options: object) => Metric.counter(name, { ...options, incremental: true })
const makeGauge = (name: string, options: object) => Metric.gauge(name, options)

const counter = (what: string, unit: string, description: string) => {
  const name = `agent_secrets.${what}`
  return makeCounter(name, register("counter", name, unit, description))
}
const histogram = (what: string, unit: string, boundaries: ReadonlyArray<number>, description: string) => {
  const name = `agent_secrets.${what}`
  return Metric.histogram(name, { ...register("histogram", name, unit, description), boundaries })
}

/** Makes one series of a metric for each value of its attribute. */
const by =
  <M>(kind: Instrument["kind"], make: (name: string, options: object) => M) =>
  (what: string, attribute: string, unit: string, description: string) => {
    const name = `agent_secrets.${what}`
    const { attributes, ...options } = register(kind, name, unit, description, attribute)
    return memoize(100, (value: string) =>
      make(name, { ...options, attributes: { ...attributes, [attribute]: value } })
    )
  }
const counterBy = by("counter", makeCounter)
const gaugeBy = by("gauge", makeGauge)

/** From a flush on a fast disk to the timeout of a client. */
const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const entryCounts = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]

const acquires = counter("lease.acquires", "{lease}", "Leases issued")
const replacements = counter(
  "lease.replacements",
  "{lease}",
  "Leases replaced by a new one of the same client and secret"
)
const expiries = counter("lease.expiries", "{lease}", "Leases that expired, counted by the sweep")
const revocations = counter(
  "lease.revocations",
  "{lease}",
  "Leases revoked, also with their secret or by the killswitch"
)
const runs = makeGauge(
  "agent_secrets.run.active",
  register("gauge", "agent_secrets.run.active", "{run}", "Programs that run with values")
)
const runNotices = counterBy("run.notices", "kind", "{notice}", "Notices that starters of programs got, by kind")
const runEnds = counter("run.ends", "{run}", "Programs that were given values and ended, or lost their connection")
const proxyRuns = makeGauge(
  "agent_secrets.proxy.run.active",
  register("gauge", "agent_secrets.proxy.run.active", "{run}", "Programs that use the proxy")
)
const proxyInFlight = makeGauge(
  "agent_secrets.proxy.request.active",
  register("gauge", "agent_secrets.proxy.request.active", "{request}", "Requests of the proxy under way")
)
const proxyRequests = counterBy("proxy.requests", "route", "{request}", "Requests that the proxy passed on, by route")
const proxyAnswers = counterBy("proxy.answers", "http.response.status_class", "{request}", "Their answers, by class")
const proxyRefusals = counterBy("proxy.refusals", "error.type", "{request}", "Requests that the proxy refused, by code")
const proxyBytes = counterBy("proxy.bytes", "direction", "By", "Bytes of bodies, from programs and to them")
const proxyFirstByte = counter("proxy.first_byte.time", "s", "Sum of the times to the first byte of an answer")
const acquireDuration = histogram(
  "lease.acquire.duration",
  "s",
  seconds,
  "Time from a request to its flushed audit entry, for leases issued"
)
const refusals = counterBy("request.refusals", "error.type", "{request}", "Requests that failed, by error type")
const requests = counterBy(
  "open_request.changes",
  "state",
  "{request}",
  "Requests for a person that were opened, and how they ended"
)
const flushDuration = histogram(
  "audit.flush.duration",
  "s",
  seconds,
  "Time to write a batch of audit entries to the disk"
)
const flushSize = histogram("audit.batch.size", "{entry}", entryCounts, "Audit entries in one write")
const flushFailures = counter("audit.failures", "{flush}", "Failed writes of the audit log")
const sinkDropped = counter("sink.dropped", "{event}", "Events that were dropped")
const queued = gaugeBy("sink.queue.size", "sink", "{event}", "Events in the queue of each receiver")
const processStart = makeGauge(
  "process.start_time",
  register("gauge", "process.start_time", "s", "Start of the daemon, in seconds since the Unix epoch")
)
const activeLeases = gaugeBy(
  "lease.active",
  "secret.name",
  "{lease}",
  "Active leases by secret; _OTHER is the sum of all secrets beyond the hundred with the most"
)

const exposedClients = gaugeBy(
  "exposure.clients",
  "secret.name",
  "{client}",
  "Clients that were given the current value, by secret; _OTHER is the sum of all secrets beyond the hundred with the most"
)

/** Always the registry of the process. To look it up in the fiber at each update measurably slows an acquire. */
const context = Context.empty()

/** Removes all metrics, for tests. */
export const resetMetrics = Effect.sync(() => Context.get(context, Metric.MetricRegistry).clear())

export const countAcquire = (took: Duration.Duration, replaced: number) =>
  Effect.sync(() => {
    acquires.updateUnsafe(1, context)
    acquireDuration.updateUnsafe(Duration.toSeconds(took), context)
    if (replaced > 0) replacements.updateUnsafe(replaced, context)
  })

export const countExpiries = (count: number) => Effect.sync(() => expiries.updateUnsafe(count, context))
export const countRevocations = (count: number) => Effect.sync(() => revocations.updateUnsafe(count, context))

export const countRunEnd = Effect.sync(() => runEnds.updateUnsafe(1, context))
export const countNotice = (kind: NoticeKind) => Effect.sync(() => runNotices(kind).updateUnsafe(1, context))
export const setRuns = (count: number) => Effect.sync(() => runs.updateUnsafe(count, context))

/** What the proxy carried since it was counted before. Routes are the user's and few. */
export interface ProxyCounts {
  readonly route: string
  readonly requests: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly firstByteSeconds: number
  readonly statuses: ReadonlyArray<readonly [statusClass: string, count: number]>
  readonly refusals: ReadonlyArray<readonly [code: string, count: number]>
}

export const countProxy = ({ route, requests: count, ...counts }: ProxyCounts): void => {
  proxyRequests(route).updateUnsafe(count, context)
  for (const [status, more] of counts.statuses) proxyAnswers(status).updateUnsafe(more, context)
  for (const [code, more] of counts.refusals) proxyRefusals(code).updateUnsafe(more, context)
  proxyBytes("in").updateUnsafe(counts.bytesIn, context)
  proxyBytes("out").updateUnsafe(counts.bytesOut, context)
  proxyFirstByte.updateUnsafe(counts.firstByteSeconds, context)
}

export const setProxy = (runCount: number, inFlight: number): void => {
  proxyRuns.updateUnsafe(runCount, context)
  proxyInFlight.updateUnsafe(inFlight, context)
}

/** Counts by error type. That is the name of a class, so its cardinality is low. */
export const countRefusal = (errorType: string) => Effect.sync(() => refusals(errorType).updateUnsafe(1, context))

/** Counts a request for a person that was opened, or ended. */
export const countRequest = (state: "opened" | "approved" | "denied" | "stored" | "expired") =>
  Effect.sync(() => requests(state).updateUnsafe(1, context))

export const recordFlush = (entries: number, took: Duration.Duration) =>
  Effect.sync(() => {
    flushSize.updateUnsafe(entries, context)
    flushDuration.updateUnsafe(Duration.toSeconds(took), context)
  })

export const countFlushFailure = Effect.sync(() => flushFailures.updateUnsafe(1, context))

/** Sets the total since the daemon started. */
export const setEventsDropped = (count: number) =>
  Effect.sync(() => sinkDropped.updateUnsafe(count - Number(sinkDropped.valueUnsafe(context).count), context))

export const setEventsQueued = (sink: "joelclaw" | "otlp", count: number) =>
  Effect.sync(() => queued(sink).updateUnsafe(count, context))

/** Bounds the cardinality to what a dashboard can show. */
const maxNamedSecrets = 100

type SecretCounts = ReadonlyArray<readonly [name: string, count: number]>

/** Replaces the counts of all secrets. What `total` has beyond them is counted as _OTHER. */
export const setActiveLeases = (bySecret: SecretCounts, total: number) =>
  setBySecret("lease.active", activeLeases, bySecret, total)

/** Replaces how many clients were given the value of each secret. */
export const setExposedClients = (bySecret: SecretCounts) =>
  setBySecret(
    "exposure.clients",
    exposedClients,
    bySecret,
    bySecret.reduce((sum, [, count]) => sum + count, 0)
  )

const setBySecret = (what: string, gauge: typeof activeLeases, bySecret: SecretCounts, total: number) =>
  Effect.sync(() => {
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
      if (id === `agent_secrets.${what}` && !named.has(attributes?.["secret.name"] ?? "")) registry.delete(key)
    }
    for (const [name, count] of named) gauge(name).updateUnsafe(count, context)
  })

/** Creates each metric without attributes, so that it is exported before its first update. */
export const startMetrics = (startedAtMillis: number) =>
  Effect.sync(() => {
    const all = [acquires, replacements, expiries, revocations, runEnds, flushFailures, sinkDropped]
    for (const one of all) one.updateUnsafe(0, context)
    for (const one of [acquireDuration, flushDuration, flushSize]) one.valueUnsafe(context)
    runs.updateUnsafe(0, context)
    processStart.updateUnsafe(startedAtMillis / 1000, context)
  })

/** Returns all metrics in the Prometheus text format. */
export const prometheusText: Effect.Effect<string> = Effect.suspend(() =>
  PrometheusMetrics.format({ metricNameMapper: prometheusName })
)

export const prometheusName = (name: string): string => {
  const instrument = instruments.find((one) => one.name === name)
  const unit = instrument?.unit === "s" ? "_seconds" : ""
  return `${name}${unit}${instrument?.kind === "counter" ? "_total" : ""}`
}
