/**
 * Where each OTLP signal goes, from the OTEL_* environment variables and config.json. Cannot
 * fail: what is invalid is left out, with a warning that quotes no value, because URLs and
 * headers contain credentials. Effect's `layerFromConfig` stops the program at an invalid
 * variable, and exports nothing by default. Source: OpenTelemetry specification, "OTLP
 * Exporter" and "Environment Variables".
 */
import * as Option from "effect/Option"
import { toMillis } from "../domain/GoDuration.ts"
import { type Signal, signals } from "../domain/telemetry.ts"
import type { OtlpConfig } from "../domain/TelemetryConfig.ts"

type Variables = Readonly<Record<string, string | undefined>>
export type OtlpSettings = NonNullable<ReturnType<typeof otlpSettings>>
export type SignalSettings = NonNullable<ReturnType<typeof signalSettings>>

/** The variable of each signal's export interval, and the specification's default in milliseconds. */
const intervals: { readonly [Name in Signal]: readonly [variable: string, defaultMillis: number] } = {
  logs: ["OTEL_BLRP_SCHEDULE_DELAY", 1000],
  traces: ["OTEL_BSP_SCHEDULE_DELAY", 5000],
  metrics: ["OTEL_METRIC_EXPORT_INTERVAL", 60_000]
}
const [minIntervalMillis, defaultTimeoutMillis, maxMillis] = [100, 10_000, 600_000]

/** Returns undefined if no endpoint is configured or OpenTelemetry is disabled. */
export const otlpSettings = (environment: Variables, config?: OtlpConfig) => {
  const given = trimmed(environment)
  const hasEndpoint = signals.some((signal) => given[variableOf(given, signal, "ENDPOINT")] !== undefined)
  if (!hasEndpoint && config === undefined) return undefined
  // The credentials of config.json are not for an endpoint of the environment.
  const variables = hasEndpoint || config === undefined ? given : { ...asVariables(config), ...given }
  const isDisabled = variables["OTEL_SDK_DISABLED"]?.toLowerCase() ?? "false"
  if (isDisabled === "true") return undefined

  const warnings = new Set<string>()
  if (isDisabled !== "false") warnings.add("OTEL_SDK_DISABLED must be true or false; it counts as false")
  const found: { [Name in Signal]?: SignalSettings } = {}
  for (const signal of signals) {
    const settings = signalSettings(variables, signal, warnings)
    if (settings !== undefined) found[signal] = settings
  }
  const { "service.name": name, ...attributes } = pairs(variables, "OTEL_RESOURCE_ATTRIBUTES", warnings)
  return {
    signals: found,
    temporality: oneOf(
      variables,
      "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
      ["cumulative", "delta"],
      warnings
    ),
    spanRatio: spanRatio(variables, warnings),
    serviceName: variables["OTEL_SERVICE_NAME"] ?? name ?? "agent-secrets",
    attributes,
    warnings: [...warnings]
  }
}

/** Removes what is empty, which counts as unset. */
const trimmed = (environment: Variables): Variables => {
  const entries = Object.entries(environment).map(([name, value = ""]) => [name, value.trim()] as const)
  return Object.fromEntries(entries.filter(([, value]) => value !== ""))
}

const asVariables = ({ endpoint, headers, protocol, signals: exported, timeout }: OtlpConfig): Variables => {
  const encoded = Object.entries(headers).map((pair) => pair.map(encodeURIComponent).join("="))
  const off = signals.filter((signal) => !exported.includes(signal))
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_EXPORTER_OTLP_TIMEOUT: String(toMillis(timeout)),
    OTEL_EXPORTER_OTLP_HEADERS: encoded.join(","),
    ...Object.fromEntries(off.map((signal) => [`OTEL_${signal.toUpperCase()}_EXPORTER`, "none"]))
  }
}

/** Returns the name of the signal's own variable if it is set, else of that for all signals. */
const variableOf = (variables: Variables, signal: Signal, what: string): string => {
  const own = `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${what}`
  return variables[own] === undefined ? `OTEL_EXPORTER_OTLP_${what}` : own
}

const signalSettings = (variables: Variables, signal: Signal, warnings: Set<string>) => {
  const nameOf = (what: string) => variableOf(variables, signal, what)
  const lookUp = (what: string) => variables[nameOf(what)]?.toLowerCase()
  const endpoint = variables[nameOf("ENDPOINT")]
  const exporterName = `OTEL_${signal.toUpperCase()}_EXPORTER`
  const exporters = (variables[exporterName] ?? "otlp").toLowerCase().split(/\s*,\s*/)
  if (endpoint === undefined || exporters.join() === "none") return undefined
  if (!exporters.includes("otlp")) {
    warnings.add(`${exporterName} must be otlp or none; ${signal} are not exported`)
    return undefined
  }
  for (const what of ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"]) {
    if (variables[nameOf(what)] !== undefined) warnings.add(unsupported(nameOf(what)))
  }
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    warnings.add(`${nameOf("ENDPOINT")} must be an http or https URL; ${signal} are not exported`)
    return undefined
  }
  const protocol = lookUp("PROTOCOL") ?? "http/json"
  if (protocol !== "http/json" && protocol !== "http/protobuf") {
    warnings.add(`${nameOf("PROTOCOL")} must be http/json or http/protobuf; ${signal} are not exported`)
    return undefined
  }
  // `fetch` rejects a URL that contains credentials.
  const headers = pairs(variables, nameOf("HEADERS"), warnings)
  const credentials = [url.username, url.password].map((text) => decode(text) ?? "").join(":")
  const authorization = `Basic ${Buffer.from(credentials).toString("base64")}`
  url.username = url.password = ""
  if (nameOf("ENDPOINT") === "OTEL_EXPORTER_OTLP_ENDPOINT") {
    url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/${signal}`
  }
  const [interval, defaultInterval] = intervals[signal]
  const inMillis = (name: string, min: number, defaultMillis: number): number => {
    const given = Number(variables[name] ?? defaultMillis)
    if (given > 0 && Number.isFinite(given)) return Math.min(Math.max(given, min), maxMillis)
    warnings.add(`${name} must be a number of milliseconds above 0; ${defaultMillis} is used`)
    return defaultMillis
  }
  return {
    signal,
    url: url.href,
    protocol,
    headers: credentials === ":" ? headers : { authorization, ...headers },
    compression: oneOf(variables, nameOf("COMPRESSION"), ["none", "gzip"], warnings),
    timeout: inMillis(nameOf("TIMEOUT"), 1, defaultTimeoutMillis),
    interval: inMillis(interval, minIntervalMillis, defaultInterval)
  }
}

/** Returns the value that the variable has, or the first one. */
const oneOf = <const Value extends string>(
  variables: Variables,
  name: string,
  values: readonly [Value, ...ReadonlyArray<Value>],
  warnings: Set<string>
): Value => {
  const given = variables[name]?.toLowerCase() ?? values[0]
  const found = values.find((value) => value === given)
  if (found === undefined) warnings.add(`${name} must be ${values.join(" or ")}; ${values[0]} is used`)
  return found ?? values[0]
}

const unsupported = (name: string): string =>
  name.endsWith("CERTIFICATE") && !name.endsWith("CLIENT_CERTIFICATE")
    ? `${name} is not supported; name the certificates in NODE_EXTRA_CA_CERTS`
    : `${name} is not supported; it is ignored`

/** Reads `name=value,name=value`, percent-encoded. */
const pairs = (variables: Variables, variable: string, warnings: Set<string>): Readonly<Record<string, string>> => {
  const found: Record<string, string> = {}
  for (const pair of (variables[variable] ?? "").split(",").filter((text) => text.trim() !== "")) {
    const [name, ...value] = pair.split("=")
    const [key, decoded] = [decode(name ?? ""), value.length === 0 ? undefined : decode(value.join("="))]
    if (key && decoded !== undefined) found[key] = decoded
    else warnings.add(`${variable} has a pair that is not name=value; it is left out`)
  }
  return found
}

const decode = (text: string): string | undefined =>
  Option.getOrUndefined(Option.liftThrowable(decodeURIComponent)(text.trim()))

/** Returns the ratio for roots, for each span is one: so a sampler based on the parent does what it does for roots. */
const spanRatio = (variables: Variables, warnings: Set<string>): number => {
  const sampler = (variables["OTEL_TRACES_SAMPLER"] ?? "always_on").toLowerCase().replace(/^parentbased_/, "")
  const given = Number(variables["OTEL_TRACES_SAMPLER_ARG"] ?? 1)
  const ratio = sampler === "always_on" ? 1 : sampler === "always_off" ? 0 : sampler === "traceidratio" ? given : -1
  if (ratio >= 0 && ratio <= 1) return ratio
  warnings.add(
    "OTEL_TRACES_SAMPLER must be always_on, always_off, or traceidratio with OTEL_TRACES_SAMPLER_ARG from 0 to 1"
  )
  return 1
}

/** Returns the endpoints, each with its signals; only their origins, because the rest may hold a token. */
export const describeTargets = ({ signals: found }: OtlpSettings): string => {
  const targets = new Map<string, ReadonlyArray<string>>()
  for (const { signal, url } of Object.values(found)) {
    const { origin } = new URL(url)
    targets.set(origin, [...(targets.get(origin) ?? []), signal])
  }
  return [...targets].map(([target, names]) => `${target} (${names.join(", ")})`).join(", ")
}
