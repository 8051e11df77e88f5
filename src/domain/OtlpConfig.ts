/**
 * The section `otlp` of config.json: where a collector of OpenTelemetry is, and what
 * is sent to it. What the standard variables of OpenTelemetry say goes before it.
 *
 * Values of headers are credentials: they are in no message.
 */
import * as Result from "effect/Result"
import type { GoDuration } from "./GoDuration.ts"
import { hour, millisecond, second } from "./GoDuration.ts"
import type { Section, Setting } from "./Setting.ts"
import { durationWithin, needs, oneOf, section, sectionOf, someOf, text, valueIn } from "./Setting.ts"

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

/** What HTTP takes as the name of a header, and as its value: visible characters, spaces and tabs. */
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/

const readHeaders: Setting<OtlpConfig["headers"]>["read"] = (given, setting) =>
  Result.gen(function* () {
    const headers: Array<[string, string]> = []
    for (const [name, value] of yield* sectionOf(given, setting)) {
      if (!headerName.test(name)) return yield* Result.fail(`${setting} must have names of HTTP headers`)
      if (typeof value !== "string" || !headerValue.test(value)) {
        return yield* Result.fail(`${setting}.${name} must be a text of one line in quotes`)
      }
      headers.push([name, value])
    }
    return Object.fromEntries(headers)
  })

const headers: Setting<OtlpConfig["headers"]> = {
  name: "otlp.headers",
  description: "headers of the requests to the collector, by their names",
  form: {
    type: "object",
    propertyNames: { pattern: headerName.source },
    additionalProperties: { type: ["string", "null"], pattern: headerValue.source }
  },
  standard: {},
  written: {},
  read: readHeaders
}

export const otlp = {
  section: section("otlp", "a collector of OpenTelemetry; its standard variables go before this", {
    allOf: [needs("endpoint")]
  }),
  endpoint: text("otlp.endpoint", "the address of the collector, to which v1/logs and the like are added; needed", {
    expected: "an http or https address",
    pattern: /^https?:\/\/./,
    isOne: (address) => URL.canParse(address) && /^https?:$/.test(new URL(address).protocol)
  }),
  protocol: oneOf("otlp.protocol", "the form of what is sent", protocols, "http/json"),
  headers,
  timeout: durationWithin("otlp.timeout", "how long one request to the collector may take", standardTimeout, [
    millisecond,
    hour
  ]),
  signals: someOf("otlp.signals", "what is sent: events, spans of acquires, figures", signals)
}

/** Reads the section; undefined if there is none. The failure names the key and what is expected of it. */
export const otlpIn = (file: Section): Result.Result<OtlpConfig | undefined, string> =>
  Result.gen(function* () {
    const given = yield* valueIn(file, otlp.section)
    if (given === undefined) return undefined
    const config: OtlpConfig = {
      endpoint: yield* otlp.endpoint.read(given.get("endpoint"), otlp.endpoint.name, ""),
      protocol: yield* valueIn(given, otlp.protocol),
      headers: yield* valueIn(given, otlp.headers),
      timeout: yield* valueIn(given, otlp.timeout),
      signals: yield* valueIn(given, otlp.signals)
    }
    return config
  })
