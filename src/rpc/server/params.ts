/**
 * What handlers share: parameters that are checked, defaulted and typed, and results.
 *
 * `decodeRequest` has put the names in lower case. Null counts as absent, and absent as
 * the empty text, zero or false. Half of a surrogate pair becomes U+FFFD. Source of the
 * rules and of the messages: protocol specification, section 4.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { nameLimit, TooLong } from "../../domain/Secret.ts"
import type { ErrorTag } from "../protocol/errorTags.ts"
import { defaultReplyCount, maxReplyCount } from "../protocol/limits.ts"
import { kindOf, RpcError } from "../protocol/Protocol.ts"

/** A string; absent is the empty string. */
export const stringParam = Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("")))

/** A boolean; absent is false. */
export const booleanParam = Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false)))

/** A number; absent is zero. */
export const numberParam = Schema.Finite.pipe(Schema.withDecodingDefaultKey(Effect.succeed(0)))

/** Makes a decoder of the parameters that the predecessor calls `type`. */
export const readParams = <
  const Fields extends Readonly<Record<string, typeof stringParam | typeof booleanParam | typeof numberParam>>
>(
  type: string,
  fields: Fields
) => {
  type Params = Schema.Struct<Fields>["Type"]
  const wanted = (name: string) =>
    fields[name] === booleanParam ? "bool" : fields[name] === numberParam ? "number" : "string"
  const kinds = Object.keys(fields).map((name) => [name, wanted(name)] as const)
  // The decoder of the schema would take as long as all the rest of decoding a line.
  const isRead = (read: object): read is Params =>
    kinds.every(([name, kind]) => {
      const value: unknown = Reflect.get(read, name)
      return kindOf(value) === kind && (kind !== "number" || Number.isFinite(value))
    })
  const empty = Object.fromEntries(kinds.map(([name, kind]) => [name, absent[kind]]))
  return (params: unknown): Effect.Effect<Params, RpcError> => {
    if (params === undefined || params === null) return invalid("parameters are required")
    if (!Predicate.isReadonlyObject(params)) {
      return unreadable(`${kindOf(params)} into Go value of type daemon.${type}`)
    }
    const given: Readonly<Record<string, unknown>> = params
    const read: Record<string, unknown> = { ...empty }
    for (const [name] of kinds) {
      const value = given[name] ?? undefined
      if (value !== undefined) read[name] = typeof value === "string" ? value.toWellFormed() : value
    }
    if (isRead(read)) return Effect.succeed(read)
    const [name = "", value] =
      Object.entries(given).find(
        ([member, found]) => found !== null && Object.hasOwn(fields, member) && kindOf(found) !== wanted(member)
      ) ?? []
    return unreadable(`${kindOf(value)} into Go struct field ${type}.${name} of type ${wanted(name)}`)
  }
}

/** Refuses an empty string, and one of more than `limit` bytes. */
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

/** Refuses a string of more than `limit` bytes. */
export const atMost = (limit: number, given: string, what: string): Effect.Effect<void, TooLong> =>
  Buffer.byteLength(given) > limit ? Effect.fail(new TooLong({ what, limit })) : Effect.void

/** Returns how many things to put into a reply: the usual number unless a whole number above zero was asked for. */
export const resultCount = (asked: unknown): number =>
  typeof asked !== "number" || !Number.isSafeInteger(asked) || asked <= 0
    ? defaultReplyCount
    : Math.min(asked, maxReplyCount)

/** The result of a method that has nothing to return but that it is done. */
export const succeeded = (message: string, more: object = {}) => ({ success: true, ...more, message })

/** What an absent member counts as. */
const absent = { string: "", bool: false, number: 0 } as const

const unreadable = (what: string) => invalid(`failed to unmarshal params: json: cannot unmarshal ${what}`)

const invalid = (reason: string) =>
  Effect.fail(new RpcError({ tag: "InvalidParams", message: `invalid parameters: ${reason}` }))
