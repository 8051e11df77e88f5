/**
 * Reads how much of a request an OpenTelemetry collector has rejected, from the body of a
 * response with status 200. The three signals differ only in the names of the members. A body
 * that is neither JSON nor protobuf rejects nothing. Source: OTLP specification, "Partial
 * Success", and the messages Export…ServiceResponse.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { escapeValue } from "../domain/escape.ts"

export interface Rejection {
  /** The number of log records, spans or data points. */
  readonly count: number
  /** The collector's reason, escaped; may be empty. */
  readonly reason: string
}

const maxReasonLength = 200

/** Returns undefined if nothing was rejected; a reason alone is a warning. */
export const rejectionIn = (contentType: string, body: Uint8Array): Rejection | undefined => {
  const { count, reason } = contentType.includes("protobuf") ? inProtobuf(body) : inJson(body)
  return count > 0 ? { count, reason: escapeValue(reason).slice(0, maxReasonLength) } : undefined
}

/** An int64 is a string in JSON. */
const Count = Schema.optionalKey(Schema.Union([Schema.Finite, Schema.FiniteFromString]))
const decodeJson = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      partialSuccess: Schema.Struct({
        rejectedLogRecords: Count,
        rejectedSpans: Count,
        rejectedDataPoints: Count,
        errorMessage: Schema.optionalKey(Schema.String)
      })
    })
  )
)

const inJson = (body: Uint8Array) => {
  const decoded = Option.getOrUndefined(decodeJson(Buffer.from(body).toString("utf8")))
  const { errorMessage = "", rejectedDataPoints, rejectedLogRecords, rejectedSpans } = decoded?.partialSuccess ?? {}
  return { count: rejectedLogRecords ?? rejectedSpans ?? rejectedDataPoints ?? 0, reason: errorMessage }
}

/** Reads the partial success from field 1 of the response, and of that the count from field 1 and the reason from field 2. */
const inProtobuf = (body: Uint8Array) => {
  const partial = fieldsIn(body).get(1)
  const fields = typeof partial === "object" ? fieldsIn(partial) : new Map<number, Field>()
  const [count, reason] = [fields.get(1), fields.get(2)]
  return {
    count: typeof count === "number" ? count : 0,
    reason: typeof reason === "object" ? Buffer.from(reason).toString("utf8") : ""
  }
}

type Field = number | Uint8Array

/** Returns the last value of each field of a protobuf message: integers, and the bytes of texts and messages. */
const fieldsIn = (message: Uint8Array): ReadonlyMap<number, Field> => {
  const fields = new Map<number, Field>()
  let at = 0
  const readInteger = (): number => {
    let value = 0
    for (let factor = 1; at < message.length; factor *= 128) {
      const byte = message[at++] ?? 0
      value += (byte % 128) * factor
      if (byte < 128) break
    }
    return value
  }
  while (at < message.length) {
    const tag = readInteger()
    const number = Math.floor(tag / 8)
    switch (tag % 8) {
      case 0:
        fields.set(number, readInteger())
        break
      case 1:
        at += 8
        break
      case 2: {
        const length = readInteger()
        fields.set(number, message.subarray(at, at + length))
        at += length
        break
      }
      case 5:
        at += 4
        break
      default:
        return fields
    }
  }
  return fields
}
