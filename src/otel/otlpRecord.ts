/**
 * An event as an OTLP log record, by OpenTelemetry's conventions for events: its
 * action is the event's name, its metadata are attributes.
 *
 * What leases, secrets and clients are called is the same in events, spans and
 * figures; the rest of the metadata has our own name before it.
 */
import { entriesToAttributes, type KeyValue } from "effect/observability/OtlpResource"
import type { OtelEvent } from "./OtelEvent.ts"

export interface OtlpRecord {
  readonly timeUnixNano: string
  readonly observedTimeUnixNano: string
  readonly severityNumber: 5 | 9 | 13 | 17
  readonly severityText: string
  /** Effect's protobuf does not know this member, so the name is an attribute as well. */
  readonly eventName: string
  readonly body: { readonly stringValue: string }
  readonly attributes: Array<KeyValue>
  readonly droppedAttributesCount: number
  readonly traceId?: string
  readonly spanId?: string
}

const severities = { debug: 5, info: 9, warn: 13, error: 17 } as const

const known: ReadonlyMap<string, string> = new Map([
  ["secretName", "secret.name"],
  ["clientId", "client.id"],
  ["leaseId", "lease.id"]
])

export const attributeName = (member: string): string =>
  known.get(member) ?? `agent_secrets.${member.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`

export const otlpRecord = (
  event: OtelEvent,
  nanos: bigint,
  span: { readonly traceId: string; readonly spanId: string; readonly sampled: boolean } | undefined
): OtlpRecord => ({
  timeUnixNano: String(nanos),
  observedTimeUnixNano: String(nanos),
  severityNumber: severities[event.level],
  severityText: event.level.toUpperCase(),
  eventName: event.action,
  body: { stringValue: event.error ?? event.action },
  attributes: entriesToAttributes([
    ["event.name", event.action],
    ["agent_secrets.component", event.component],
    ["agent_secrets.success", event.success],
    ...(event.error === undefined ? [] : [["error.message", event.error] satisfies [string, unknown]]),
    ...Object.entries(event.metadata)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]): [string, unknown] => [attributeName(name), value])
  ]),
  droppedAttributesCount: 0,
  ...(span?.sampled === true ? { traceId: span.traceId, spanId: span.spanId } : {})
})
