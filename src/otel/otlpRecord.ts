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

/** Of the members there are; each is looked at once. */
const names = new Map(known)

const attributeName = (member: string): string => {
  let name = names.get(member)
  if (name === undefined) {
    name = `agent_secrets.${member.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`
    names.set(member, name)
  }
  return name
}

/** An event that waits for the next request: what has to be known of when it was emitted, and nothing made of it yet. */
export interface Emitted {
  readonly event: OtelEvent
  readonly nanos: bigint
  /** The span in which it was emitted, if that is sent. */
  readonly span: { readonly traceId: string; readonly spanId: string } | undefined
}

/** Characters of its texts, about; the rest has a length by itself. */
export const lengthOf = ({ error, metadata }: OtelEvent): number => {
  let length = error?.length ?? 0
  for (const name in metadata) {
    const value = metadata[name]
    if (typeof value === "string") length += value.length
    else if (Array.isArray(value)) for (const one of value) length += String(one).length
  }
  return length
}

export const otlpRecord = ({ event, nanos, span }: Emitted): OtlpRecord => {
  const time = String(nanos)
  const attributes: Array<[string, unknown]> = [
    ["event.name", event.action],
    ["agent_secrets.component", event.component],
    ["agent_secrets.success", event.success]
  ]
  if (event.error !== undefined) attributes.push(["error.message", event.error])
  for (const [name, value] of Object.entries(event.metadata)) {
    if (value !== undefined) attributes.push([attributeName(name), value])
  }
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber: severities[event.level],
    severityText: event.level.toUpperCase(),
    eventName: event.action,
    body: { stringValue: event.error ?? event.action },
    attributes: entriesToAttributes(attributes),
    droppedAttributesCount: 0,
    ...(span === undefined ? {} : { traceId: span.traceId, spanId: span.spanId })
  }
}
