/**
 * The sections `events` and `otlp` of config.json: which events are sent, and to which
 * OpenTelemetry collector. OpenTelemetry's own environment variables take precedence.
 */
import * as Schema from "effect/Schema"
import { defaults } from "./settingDefaults.ts"
import { hour, millisecond, second } from "./GoDuration.ts"
import { amount, duration, oneOf, readWith, section, setting, text } from "./Setting.ts"
import { levels, signals } from "./telemetry.ts"

export const eventsSection = section({
  min_level: setting(oneOf(levels), "events below this level are not sent", defaults.sampling.minLevel),
  debug_per_minute: setting(
    amount,
    "the maximum number of debug events of one action in a minute",
    defaults.sampling.debugPerMinute
  )
})

/** HTTP's names of headers; their values are visible characters, spaces and tabs. */
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/u
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/u

const headers = readWith(
  Schema.Record(Schema.String, Schema.NullOr(text(headerValue, "a text of one line"))).check(
    // A name that is none may be a credential: the message leaves it out.
    Schema.makeFilter(
      (given) => Object.keys(given).every((name) => headerName.test(name)) || "must have names of HTTP headers",
      { toJsonSchema: () => ({ propertyNames: { pattern: headerName.source } }) }
    )
  ),
  Schema.Record(Schema.String, Schema.String),
  (given) =>
    Object.fromEntries(Object.entries(given).flatMap(([name, value]) => (value === null ? [] : [[name, value]])))
).annotate({ expected: "a JSON object" })

const isHttpAddress = (given: string) => URL.canParse(given) && /^https?:$/.test(new URL(given).protocol)

export const otlpSection = section({
  endpoint: text(/^https?:\/\/./u, "an http or https address").check(
    Schema.makeFilter(isHttpAddress, {
      expected: "an http or https address",
      description: "the address of the collector, to which v1/logs and the like are added; required"
    })
  ),
  protocol: setting(oneOf(["http/json", "http/protobuf"]), "the encoding of what is sent", "http/json"),
  headers: setting(headers, "headers of the requests to the collector, by their names", {}),
  timeout: setting(
    duration({ minimum: millisecond, maximum: hour }),
    "the time limit of one request to the collector",
    10n * second
  ),
  signals: setting(
    readWith(
      Schema.Array(Schema.Literals(signals)).check(Schema.isMinLength(1)),
      Schema.Array(Schema.Literals(signals)),
      (given) => signals.filter((signal) => given.includes(signal))
    ).annotate({ expected: `a list of some of ${signals.join(", ")}` }),
    "what is sent: events, spans of acquires, metrics",
    signals
  )
})

/** The paths of the signals, such as v1/logs, are added to the endpoint. The timeout is that of one request. */
export type OtlpConfig = typeof otlpSection.Type
