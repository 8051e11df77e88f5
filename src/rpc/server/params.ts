/**
 * What handlers share: parameters that are checked, defaulted and typed, and results.
 *
 * `decodeRequest` has put the names in lower case. Null counts as absent, and absent as
 * the empty text, zero or false. Half of a surrogate pair becomes U+FFFD. Source of the
 * rules and of the messages: protocol specification, section 4.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { nameLimit, TooLong } from "../../domain/Secret.ts"
import type { ErrorTag } from "../protocol/errorTags.ts"
import { defaultReplyCount, maxReplyCount } from "../protocol/limits.ts"
import { kindOf, RpcError } from "../protocol/Protocol.ts"

/** What an absent parameter of each type counts as. */
const absent = { string: "", bool: false, number: 0 } as const

interface Types {
  readonly string: string
  readonly bool: boolean
  readonly number: number
}

type Fields = Readonly<Record<string, keyof Types>>

/** Makes a decoder of the parameters that the predecessor calls `type`. */
export function readParams<const Given extends Fields>(
  type: string,
  fields: Given
): (params: unknown) => Effect.Effect<{ readonly [Name in keyof Given]: Types[Given[Name]] }, RpcError>
export function readParams(type: string, fields: Fields) {
  const empty = Object.fromEntries(Object.entries(fields).map(([name, wanted]) => [name, absent[wanted]]))
  return (params: unknown): Effect.Effect<object, RpcError> => {
    if (params === undefined || params === null) return invalid("parameters are required")
    if (!Predicate.isReadonlyObject(params)) {
      return unreadable(`${kindOf(params)} into Go value of type daemon.${type}`)
    }
    const read: Record<string, unknown> = { ...empty }
    for (const [name, value] of Object.entries(params)) {
      const wanted = Object.hasOwn(fields, name) ? fields[name] : undefined
      if (wanted === undefined || value === undefined || value === null) continue
      if (kindOf(value) !== wanted || value === Infinity || value === -Infinity) {
        return unreadable(`${kindOf(value)} into Go struct field ${type}.${name} of type ${wanted}`)
      }
      read[name] = typeof value === "string" ? value.toWellFormed() : value
    }
    return Effect.succeed(read)
  }
}

/** Rejects an empty string, and one of more than `limit` bytes. */
export const required = (given: string, what: string, limit = nameLimit): Effect.Effect<void, RpcError | TooLong> =>
  given === ""
    ? Effect.fail(new RpcError({ tag: missing.get(what) ?? "MissingParameter", message: `${what} is required` }))
    : atMost(limit, given, what)

/** The parameters that people leave out have a tag each, and so a hint each. */
const missing: ReadonlyMap<string, ErrorTag> = new Map([
  ["secret name", "MissingSecretName"],
  ["secret_name", "MissingSecretName"],
  ["client_id", "MissingClientId"]
])

/** Rejects a string of more than `limit` bytes. */
export const atMost = (limit: number, given: string, what: string): Effect.Effect<void, TooLong> =>
  Buffer.byteLength(given) > limit ? Effect.fail(new TooLong({ what, limit })) : Effect.void

/** Returns how many things to put into a reply: the usual number unless a whole number above zero was asked for. */
export const resultCount = (asked: unknown): number =>
  typeof asked !== "number" || !Number.isSafeInteger(asked) || asked <= 0
    ? defaultReplyCount
    : Math.min(asked, maxReplyCount)

/** Returns the result of a method that has nothing to return but that it is done. */
export const succeeded = (message: string, more: object = {}) => ({ success: true, ...more, message })

/**
 * Returns what a reply says about the runs whose starters get a notice, if the client asks for it. `team` is the name of
 * this machine in its team: those of the others are not known here.
 */
export const reached = (isAsked: boolean, runIds: ReadonlyArray<string>, team?: string) =>
  isAsked ? { runs_told: runIds.length, run_ids: runIds, team } : {}

const unreadable = (what: string) => invalid(`failed to unmarshal params: json: cannot unmarshal ${what}`)

const invalid = (reason: string) =>
  Effect.fail(new RpcError({ tag: "InvalidParams", message: `invalid parameters: ${reason}` }))
