/**
 * Parameters of a method: members by name, checked, defaulted and typed.
 *
 * Names match in any letter case, null counts as absent and absent as the empty
 * text or false; half of a surrogate pair, which is no text, becomes U+FFFD. Source
 * of the rules and of the messages: protocol specification, section 4.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { nameLimit, TooLong } from "../../domain/Secret.ts"
import type { ErrorTag } from "../protocol/errorTags.ts"
import { foldNames, kindOf, RpcError } from "../protocol/Protocol.ts"

/** A text member; absent is the empty text. */
export const stringParam = Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("")))

/** A member that is true or false; absent is false. */
export const booleanParam = Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false)))

/** A number; absent is zero. */
export const numberParam = Schema.Finite.pipe(Schema.withDecodingDefaultKey(Effect.succeed(0)))

/** A reader for the parameters that the predecessor calls `type`. */
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
  // By hand: the schema's decoder takes as long as all the rest of reading a line.
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
    const given = foldNames(params)
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

/** Refuses an empty text with the predecessor's `… is required`, and one that is longer than a name, or than `limit` bytes. */
export const required = (given: string, what: string, limit = nameLimit): Effect.Effect<void, RpcError | TooLong> =>
  given === ""
    ? Effect.fail(new RpcError({ tag: missing.get(what) ?? "MissingParameter", message: `${what} is required` }))
    : atMost(limit, given, what)

/** What is missing when one of these parameters is: a person meets these, and gets a hint for each. */
const missing: ReadonlyMap<string, ErrorTag> = new Map([
  ["secret name", "MissingSecretName"],
  ["secret_name", "MissingSecretName"],
  ["client_id", "MissingClientId"]
])

/** Refuses a text of more than `limit` bytes, before anything is done with it that would take its time. */
export const atMost = (limit: number, given: string, what: string): Effect.Effect<void, TooLong> =>
  Buffer.byteLength(given) > limit ? Effect.fail(new TooLong({ what, limit })) : Effect.void

/** What a member counts as that is not there. */
const absent = { string: "", bool: false, number: 0 } as const

const unreadable = (what: string) => invalid(`failed to unmarshal params: json: cannot unmarshal ${what}`)

const invalid = (reason: string) =>
  Effect.fail(new RpcError({ tag: "InvalidParams", message: `invalid parameters: ${reason}` }))
