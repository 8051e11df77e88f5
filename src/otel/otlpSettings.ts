/**
 * What the standard variables of OpenTelemetry ask for, and config.json where they
 * leave it open: where each signal goes, and how. Nothing of it can fail: what cannot
 * be used is left out and told in `remarks`.
 *
 * Read here and not by Effect's `layerFromConfig`, which sends nothing unless
 * OTEL_LOGS_EXPORTER and its like are set too, ends the program over a typing error,
 * and waits for the collector at the end as long as one request may take.
 * Header values are credentials: they are in no message.
 * Source: OpenTelemetry specification, "OTLP Exporter" and "Environment Variables".
 */

import { type OtlpConfig, type Signal, signals } from "../domain/OtlpConfig.ts"
import { toMillis } from "../domain/GoDuration.ts"

export type OtelEnvironment = Readonly<Record<string, string | undefined>>

export interface SignalSettings {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly protocol: "http/json" | "http/protobuf"
  readonly compression: "gzip" | "none"
  /** What one request gets, in milliseconds. */
  readonly timeout: number
  /** Milliseconds between two requests. */
  readonly interval: number
}

export interface OtlpSettings {
  readonly signals: { readonly [Name in Signal]?: SignalSettings }
  readonly temporality: "cumulative" | "delta"
  /** Of all spans, the part that is sent, from 0 to 1. */
  readonly spanRatio: number
  readonly serviceName: string
  /** Resource attributes that were given, beside the name of the service. */
  readonly attributes: Readonly<Record<string, string>>
  /** One line for each thing that was asked for and is not done. */
  readonly remarks: ReadonlyArray<string>
}

/** How long each signal is gathered: the variable, and the specification's default, in milliseconds. */
const intervals: { readonly [Name in Signal]: readonly [variable: string, standard: number] } = {
  logs: ["OTEL_BLRP_SCHEDULE_DELAY", 1000],
  traces: ["OTEL_BSP_SCHEDULE_DELAY", 5000],
  metrics: ["OTEL_METRIC_EXPORT_INTERVAL", 60_000]
}
/** More often than this the daemon would be busy with sending. */
const leastInterval = 100
/** The specification's default. */
const standardTimeout = 10_000
const longest = 600_000

/** Undefined if no endpoint is named, or everything is switched off. */
export const otlpSettings = (given: OtelEnvironment, config?: OtlpConfig): OtlpSettings | undefined => {
  const environment = { ...asVariables(given, config), ...withoutEmpty(given) }
  const asked = signals.some((signal) => endpointOf(environment, signal) !== undefined)
  if (!asked || valueOf(environment, "OTEL_SDK_DISABLED")?.toLowerCase() === "true") return undefined
  const remarks: Array<string> = []
  const found: { [Name in Signal]?: SignalSettings } = {}
  for (const signal of signals) {
    const settings = signalSettings(environment, signal, remarks)
    if (settings !== undefined) found[signal] = settings
  }
  const attributes = pairs(environment, "OTEL_RESOURCE_ATTRIBUTES", remarks)
  const { "service.name": named, ...others } = attributes
  const temporality = valueOf(environment, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")?.toLowerCase()
  return {
    signals: found,
    temporality: temporality === "delta" ? "delta" : "cumulative",
    spanRatio: spanRatio(environment, remarks),
    serviceName: valueOf(environment, "OTEL_SERVICE_NAME") ?? named ?? "agent-secrets",
    attributes: others,
    remarks: [...new Set(remarks)]
  }
}

const withoutEmpty = (environment: OtelEnvironment): OtelEnvironment =>
  Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value.trim() !== ""))

/**
 * The section of config.json as if it were in the environment; nothing of it where the environment has an endpoint of
 * its own, which the credentials for another one are no business of.
 */
const asVariables = (environment: OtelEnvironment, config: OtlpConfig | undefined): OtelEnvironment => {
  if (config === undefined || signals.some((signal) => endpointOf(environment, signal) !== undefined)) return {}
  const silent = signals.filter((signal) => !config.signals.includes(signal))
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: config.endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: config.protocol,
    OTEL_EXPORTER_OTLP_TIMEOUT: String(toMillis(config.timeout)),
    OTEL_EXPORTER_OTLP_HEADERS: Object.entries(config.headers).map(pair).join(","),
    ...Object.fromEntries(silent.map((signal) => [`OTEL_${signal.toUpperCase()}_EXPORTER`, "none"]))
  }
}

const pair = ([name, value]: [string, string]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`

/** An acquire has nothing above it, so what is based on the parent is what is said of a root. */
const spanRatio = (environment: OtelEnvironment, remarks: Array<string>): number => {
  const sampler =
    valueOf(environment, "OTEL_TRACES_SAMPLER")
      ?.toLowerCase()
      .replace(/^parentbased_/, "") ?? "always_on"
  if (sampler === "always_on") return 1
  if (sampler === "always_off") return 0
  if (sampler !== "traceidratio") {
    remarks.push(
      "OTEL_TRACES_SAMPLER is none of always_on, always_off, traceidratio and these with parentbased_; all spans are sent"
    )
    return 1
  }
  const ratio = Number(valueOf(environment, "OTEL_TRACES_SAMPLER_ARG") ?? 1)
  if (ratio >= 0 && ratio <= 1) return ratio
  remarks.push("OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1; all spans are sent")
  return 1
}

/** Where events go, as people read it: addresses without what may be a credential in them. */
export const describeTargets = ({ signals: found }: OtlpSettings): string => {
  const places = new Map<string, Array<Signal>>()
  for (const signal of signals) {
    const url = found[signal]?.url
    if (url === undefined) continue
    const place = shown(url, signal)
    places.set(place, [...(places.get(place) ?? []), signal])
  }
  return [...places].map(([place, names]) => `${place} (${names.join(", ")})`).join(", ")
}

const shown = (url: string, signal: Signal): string => {
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname.replace(new RegExp(`/(v1/${signal})?$`), "")}`
}

const signalSettings = (
  environment: OtelEnvironment,
  signal: Signal,
  remarks: Array<string>
): SignalSettings | undefined => {
  const endpoint = endpointOf(environment, signal)
  if (endpoint === undefined || !isWanted(environment, signal)) return undefined
  const { url, variable } = endpoint
  if (url === undefined) {
    remarks.push(`${variable} is no http or https URL; ${signal} are not sent`)
    return undefined
  }
  const protocol = either(environment, signal, "PROTOCOL")?.toLowerCase() ?? "http/json"
  if (protocol !== "http/json" && protocol !== "http/protobuf") {
    remarks.push(`${signal} are not sent: the OTLP protocol must be http/json or http/protobuf (port 4318 as a rule)`)
    return undefined
  }
  const headersOf = (name: string) => pairs(environment, name, remarks)
  const own = `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_HEADERS`
  const [variableOfInterval, standard] = intervals[signal]
  const headers = valueOf(environment, own) === undefined ? headersOf("OTEL_EXPORTER_OTLP_HEADERS") : headersOf(own)
  return {
    ...withoutUser(url, headers),
    protocol,
    compression: either(environment, signal, "COMPRESSION")?.toLowerCase() === "gzip" ? "gzip" : "none",
    timeout: millis(either(environment, signal, "TIMEOUT"), 1, standardTimeout),
    interval: millis(valueOf(environment, variableOfInterval), leastInterval, standard)
  }
}

/** A variable that is empty counts as one that is not set. */
const valueOf = (environment: OtelEnvironment, name: string): string | undefined =>
  environment[name]?.trim() || undefined

/** The variable of the signal, or else that of all signals. */
const either = (environment: OtelEnvironment, signal: Signal, what: string): string | undefined =>
  valueOf(environment, `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${what}`) ??
  valueOf(environment, `OTEL_EXPORTER_OTLP_${what}`)

interface Endpoint {
  readonly variable: string
  /** Undefined if what the variable holds is no address. */
  readonly url: string | undefined
}

/** The signal's own endpoint is used as it is; that of all signals is what their paths are added to. */
const endpointOf = (environment: OtelEnvironment, signal: Signal): Endpoint | undefined => {
  const own = `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`
  const exact = valueOf(environment, own)
  if (exact !== undefined) return { variable: own, url: asUrl(exact) }
  const common = "OTEL_EXPORTER_OTLP_ENDPOINT"
  const base = valueOf(environment, common)
  return base === undefined ? undefined : { variable: common, url: asUrl(base, `v1/${signal}`) }
}

const asUrl = (text: string, below?: string): string | undefined => {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.protocol !== "http:" && url.protocol !== "https:") return undefined
  if (below !== undefined) url.pathname = `${url.pathname.replace(/\/$/, "")}/${below}`
  return url.href
}

/** `fetch` takes no address with a user in it; this is what was meant by it. */
const withoutUser = (address: string, headers: Readonly<Record<string, string>>) => {
  const url = new URL(address)
  if (url.username === "" && url.password === "") return { url: address, headers }
  const user = `${decoded(url.username) ?? ""}:${decoded(url.password) ?? ""}`
  url.username = ""
  url.password = ""
  return { url: url.href, headers: { authorization: `Basic ${Buffer.from(user).toString("base64")}`, ...headers } }
}

/** OTEL_LOGS_EXPORTER and its like: a list, "otlp" unless it says otherwise. */
const isWanted = (environment: OtelEnvironment, signal: Signal): boolean =>
  (valueOf(environment, `OTEL_${signal.toUpperCase()}_EXPORTER`) ?? "otlp")
    .split(",")
    .some((name) => name.trim().toLowerCase() === "otlp")

/** `name=value,name=value`, both of them percent-encoded. A pair that is none is left out, and not shown. */
const pairs = (
  environment: OtelEnvironment,
  variable: string,
  remarks: Array<string>
): Readonly<Record<string, string>> => {
  const read = (valueOf(environment, variable) ?? "")
    .split(",")
    .filter((pair) => pair.trim() !== "")
    .map((pair) => {
      const at = pair.indexOf("=")
      const name = decoded(pair.slice(0, Math.max(at, 0)))
      const value = decoded(pair.slice(at + 1))
      return name === undefined || name === "" || value === undefined ? undefined : [name, value]
    })
  if (read.includes(undefined)) remarks.push(`${variable} holds something that is no name=value; that is left out`)
  return Object.fromEntries(read.filter((pair) => pair !== undefined))
}

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text.trim())
  } catch {
    return undefined
  }
}

const millis = (text: string | undefined, least: number, standard: number): number => {
  const number = text === undefined ? Number.NaN : Number(text)
  return Number.isFinite(number) && number > 0 ? Math.min(Math.max(number, least), longest) : standard
}
