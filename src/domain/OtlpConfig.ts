/**
 * The section `otlp` of config.json: where a collector of OpenTelemetry is, and what
 * is sent to it. What the standard variables of OpenTelemetry say goes before it.
 *
 * Values of headers are credentials: they are in no message.
 */
import * as Result from "effect/Result"
import type { GoDuration } from "./GoDuration.ts"
import { hour, millisecond, parse, second } from "./GoDuration.ts"

/** What can be sent: events, spans of acquires, figures. */
export const signals = ["logs", "traces", "metrics"] as const
export type Signal = (typeof signals)[number]

const protocols = ["http/json", "http/protobuf"] as const

export interface OtlpConfig {
  /** The paths of the signals, such as v1/logs, are added to it. */
  readonly endpoint: string
  readonly protocol: (typeof protocols)[number]
  readonly headers: Readonly<Record<string, string>>
  /** What one request gets. */
  readonly timeout: GoDuration
  readonly signals: ReadonlyArray<Signal>
}

/** OpenTelemetry's default. */
const standardTimeout = 10n * second

/** Reads what stands under `otlp`; undefined if nothing does. The failure names the key and what is expected of it. */
export const otlpIn = (value: unknown): Result.Result<OtlpConfig | undefined, string> =>
  Result.gen(function* () {
    if (value === undefined) return undefined
    const section = yield* objectAt(value, "otlp")
    const config: OtlpConfig = {
      endpoint: yield* endpointIn(section),
      protocol: yield* protocolIn(section),
      headers: yield* headersIn(section),
      timeout: yield* timeoutIn(section),
      signals: yield* signalsIn(section)
    }
    return config
  })

type Section = ReadonlyMap<string, unknown>

const objectAt = (value: unknown, name: string): Result.Result<Section, string> =>
  typeof value !== "object" || value === null || Array.isArray(value)
    ? Result.fail(`${name} must hold a JSON object`)
    : Result.succeed(new Map<string, unknown>(Object.entries(value).filter(([, member]) => member !== null)))

const endpointIn = (section: Section): Result.Result<string, string> => {
  const value = section.get("endpoint")
  return typeof value === "string" && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)
    ? Result.succeed(value)
    : Result.fail("otlp.endpoint must be an http or https address")
}

const protocolIn = (section: Section): Result.Result<OtlpConfig["protocol"], string> => {
  const value = section.get("protocol") ?? "http/json"
  const protocol = protocols.find((one) => one === value)
  return protocol === undefined
    ? Result.fail(`otlp.protocol must be one of ${protocols.join(", ")}`)
    : Result.succeed(protocol)
}

/** What HTTP takes as the name of a header, and as its value: visible characters, spaces and tabs. */
const isName = (text: string) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text)
const isValue = (text: string) => /^[\t\x20-\x7e\x80-\xff]*$/.test(text)

const headersIn = (section: Section): Result.Result<OtlpConfig["headers"], string> =>
  Result.gen(function* () {
    const given = yield* objectAt(section.get("headers") ?? {}, "otlp.headers")
    const headers: Array<[string, string]> = []
    for (const [name, value] of given) {
      if (!isName(name)) return yield* Result.fail("otlp.headers must have names of HTTP headers")
      if (typeof value !== "string" || !isValue(value)) {
        return yield* Result.fail(`otlp.headers.${name} must be a text of one line in quotes`)
      }
      headers.push([name, value])
    }
    return Object.fromEntries(headers)
  })

const timeoutIn = (section: Section): Result.Result<GoDuration, string> => {
  const value = section.get("timeout")
  if (value === undefined) return Result.succeed(standardTimeout)
  const timeout =
    typeof value === "string"
      ? Result.getOrUndefined(parse(value))
      : Number.isSafeInteger(value)
        ? BigInt(Number(value))
        : undefined
  return timeout !== undefined && timeout >= millisecond && timeout <= hour
    ? Result.succeed(timeout)
    : Result.fail('otlp.timeout must be a duration like "10s", from 1ms to 1h')
}

const signalsIn = (section: Section): Result.Result<OtlpConfig["signals"], string> => {
  const value: unknown = section.get("signals") ?? signals
  const found = Array.isArray(value) ? signals.filter((signal) => value.includes(signal)) : []
  return Array.isArray(value) && found.length > 0 && new Set(value).size === found.length
    ? Result.succeed(found)
    : Result.fail(`otlp.signals must be a list of some of ${signals.join(", ")}`)
}
