/**
 * Reads OTLP requests, in both encodings, with OpenTelemetry's generated definitions, and
 * rejects unknown fields. `flaws` checks rules that the definitions do not express.
 *
 * Later versions of OpenTelemetry's package contain only writers, so its version is fixed.
 */
import definitions from "@opentelemetry/otlp-transformer/build/src/generated/root.js"
import protobuf from "protobufjs/minimal.js"

export type Signal = "logs" | "traces" | "metrics"

// Its types belong to another version of protobufjs.
const generated: any = definitions
const { logs, metrics, trace } = generated.opentelemetry.proto.collector
const requests: Record<Signal, any> = {
  logs: logs.v1.ExportLogsServiceRequest,
  traces: trace.v1.ExportTraceServiceRequest,
  metrics: metrics.v1.ExportMetricsServiceRequest
}

/** 64-bit numbers as text, enums as numbers, bytes as base64; absent fields stay absent. */
const plainly = { longs: String, enums: Number, bytes: String }

export const readProtobuf = (signal: Signal, body: Uint8Array): any => {
  const reader = protobuf.Reader.create(body)
  // The generated code calls this to skip unknown fields.
  reader.skipType = () => {
    throw new Error(`${signal}: an unknown field before byte ${reader.pos}`)
  }
  return requests[signal].toObject(requests[signal].decode(reader), plainly)
}

/** Reads OTLP/JSON: ids in hexadecimal, enums as numbers, names in lowerCamelCase. */
export const readJson = (signal: Signal, text: string): any => {
  const sent = JSON.parse(text, (key, value) => (ids.has(key) ? idOf(key, value) : value))
  const read = requests[signal].toObject(requests[signal].fromObject(sent), plainly)
  const lost = differences(sent, read, signal)
  if (lost.length > 0) throw new Error(lost.join("\n"))
  return read
}

const ids = new Map([
  ["traceId", 16],
  ["spanId", 8],
  ["parentSpanId", 8]
])

const idOf = (name: string, value: unknown): string => {
  if (typeof value !== "string" || !new RegExp(`^[0-9a-f]{${2 * (ids.get(name) ?? 0)}}$`).test(value)) {
    throw new Error(`${name} is ${JSON.stringify(value)}`)
  }
  return Buffer.from(value, "hex").toString("base64")
}

/** 64-bit numbers may be sent as numbers or as text. */
const of64Bits = /(UnixNano|[cC]ount|bucketCounts\.\d+|asInt|intValue)$/

/** Returns the fields that were read differently from how they were sent. */
const differences = (sent: any, read: any, at: string): ReadonlyArray<string> => {
  if (Array.isArray(sent) && sent.length === 0 && read === undefined) return []
  if (typeof sent === "object" && sent !== null && typeof read === "object") {
    return Object.entries(sent).flatMap(([key, value]) => differences(value, read[key], `${at}.${key}`))
  }
  const same = sent === read || (of64Bits.test(at) && String(sent) === read)
  return same ? [] : [`${at}: ${JSON.stringify(sent)} is read as ${JSON.stringify(read)}`]
}

/** Returns the violations in a request; every time must lie between `from` and `to`, in milliseconds. */
export const flaws = (signal: Signal, data: any, from: number, to: number): ReadonlyArray<string> => {
  const found: Array<string> = []
  const must = (good: boolean, what: string) => void (good || found.push(`${signal}: ${what}`))
  const time = (nanos: string | undefined, of: string) => {
    const millis = Number(BigInt(nanos ?? "0") / 1_000_000n)
    must(millis >= from && millis <= to, `the time of ${of} is ${nanos}`)
  }
  const named = (attributes: ReadonlyArray<any> = [], of: string) => {
    const keys = attributes.map(({ key }) => key)
    must(new Set(keys).size === keys.length && !keys.includes(""), `names of attributes of ${of}: ${keys}`)
    must(
      attributes.every(({ value }) => Object.keys(value ?? {}).length === 1),
      `${of} has an attribute without a value`
    )
  }
  const check = { must, time, named }
  const groups = data.resourceLogs ?? data.resourceSpans ?? data.resourceMetrics ?? []
  must(groups.length === 1, `${groups.length} resources`)
  for (const group of groups) {
    named(group.resource?.attributes, "the resource")
    for (const part of group.scopeLogs ?? group.scopeSpans ?? group.scopeMetrics ?? []) {
      must((part.scope?.name ?? "") !== "", "a scope without a name")
      for (const record of part.logRecords ?? []) checkRecord(record, check)
      for (const span of part.spans ?? []) checkSpan(span, check)
      for (const metric of part.metrics ?? []) checkMetric(metric, check)
      const names = (part.metrics ?? []).map(({ name }: any) => name)
      must(new Set(names).size === names.length, `duplicate metric: ${names}`)
    }
  }
  return found
}

interface Check {
  readonly must: (good: boolean, what: string) => void
  readonly time: (nanos: string | undefined, of: string) => void
  readonly named: (attributes: ReadonlyArray<any> | undefined, of: string) => void
}

const isId = (base64: string | undefined, length: number): boolean => {
  const bytes = Buffer.from(base64 ?? "", "base64")
  return bytes.length === length && bytes.some((byte) => byte !== 0)
}

const checkRecord = (record: any, { must, named, time }: Check): void => {
  const name = record.body?.stringValue
  time(record.timeUnixNano, name)
  time(record.observedTimeUnixNano, name)
  must(BigInt(record.timeUnixNano) <= BigInt(record.observedTimeUnixNano), `${name} is observed before it was`)
  // The first of the four numbers of a severity.
  const severity = ["DEBUG", "INFO", "WARN", "ERROR"].indexOf(record.severityText) * 4 + 5
  must(record.severityNumber === severity, `${name} is ${record.severityText} and ${record.severityNumber}`)
  must((record.traceId ?? "") === "" || isId(record.traceId, 16), `the trace of ${name}`)
  must((record.spanId ?? "") === "" || isId(record.spanId, 8), `the span of ${name}`)
  named(record.attributes, name)
}

const checkSpan = (span: any, { must, named, time }: Check): void => {
  must(isId(span.traceId, 16) && isId(span.spanId, 8) && (span.name ?? "") !== "", "a span without name or ids")
  must(span.kind >= 1 && span.kind <= 5, `the kind of ${span.name} is ${span.kind}`)
  must([undefined, 0, 1, 2].includes(span.status?.code), `the status of ${span.name} is ${span.status?.code}`)
  time(span.startTimeUnixNano, span.name)
  time(span.endTimeUnixNano, span.name)
  must(BigInt(span.startTimeUnixNano) <= BigInt(span.endTimeUnixNano), `${span.name} ends before it begins`)
  named(span.attributes, span.name)
}

const checkMetric = (metric: any, { must, named, time }: Check): void => {
  const { gauge, histogram, name, sum, unit } = metric
  must(
    (name ?? "") !== "" && (unit ?? "") !== "" && (metric.description ?? "") !== "",
    `${name} lacks a name, unit or description`
  )
  must([gauge, histogram, sum].filter((one) => one !== undefined).length === 1, `${name} is not of exactly one kind`)
  must(gauge !== undefined || [1, 2].includes((sum ?? histogram).aggregationTemporality), `${name} has no temporality`)
  must(sum === undefined || sum.isMonotonic === true, `${name} is not monotonic`)
  const points: ReadonlyArray<any> = (gauge ?? histogram ?? sum).dataPoints ?? []
  const series = points.map(({ attributes = [] }) => JSON.stringify(attributes))
  must(points.length > 0 && new Set(series).size === points.length, `${name} has no points, or two of one series`)
  for (const point of points) {
    time(point.startTimeUnixNano, name)
    time(point.timeUnixNano, name)
    must(BigInt(point.startTimeUnixNano) <= BigInt(point.timeUnixNano), `${name} ends before it begins`)
    named(point.attributes, name)
    if (histogram === undefined) {
      must(Number.isFinite(Number(point.asDouble ?? point.asInt ?? "nothing")), `${name} has no number`)
      must(gauge !== undefined || Number(point.asDouble ?? point.asInt) >= 0, `${name} is negative`)
    } else checkBuckets(point, name, must)
  }
}

const checkBuckets = (point: any, name: string, must: Check["must"]): void => {
  const bounds: ReadonlyArray<number> = point.explicitBounds ?? []
  const counts: ReadonlyArray<number> = (point.bucketCounts ?? []).map(Number)
  must(counts.length === bounds.length + 1, `${name} has ${bounds.length} bounds and ${counts.length} buckets`)
  must(
    bounds.every((bound, n) => n === 0 || bound > Number(bounds[n - 1])),
    `the bounds of ${name} are ${bounds}`
  )
  const inBuckets = counts.reduce((all, count) => all + count, 0)
  must(inBuckets === Number(point.count), `${name} counts ${point.count} and has ${inBuckets} in its buckets`)
  if (Number(point.count) === 0) {
    must(point.min === undefined && point.max === undefined, `${name} is empty but has a minimum or maximum`)
    return
  }
  must(counts.every((count) => count >= 0) && Number.isFinite(point.sum), `${name} has impossible numbers`)
  if (point.min === undefined) return
  must(point.min <= point.max && point.sum >= point.max, `${name} is from ${point.min} to ${point.max}`)
  // An upper bound belongs to its bucket.
  const first = counts.findIndex((count) => count > 0)
  const last = counts.findLastIndex((count) => count > 0)
  const within = (value: number, n: number) => value > (bounds[n - 1] ?? -Infinity) && value <= (bounds[n] ?? Infinity)
  must(within(point.min, first) && within(point.max, last), `${name}: ${point.min} to ${point.max} in ${counts}`)
}
