/**
 * The kinds of settings that config.json has, as Effect Schemas. One definition decodes a
 * setting, supplies its default, explains an invalid value and describes it to editors and
 * to the docs. Config.ts lists the settings.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import { durationPattern, durationText, type GoDuration, parseDuration } from "./GoDuration.ts"
import { globMistake } from "./glob.ts"

const onlyDecoded = SchemaGetter.forbidden<never, unknown>(() => "config.json is only read")

/** Makes a key that may be absent or null. The result is not validated again, so that starting takes no longer. */
const keyOf = <T, E, A>(schema: Schema.Codec<T, E>, absent: A, annotations: Schema.Annotations.Annotations) =>
  Schema.optionalKey(Schema.NullOr(schema).annotate(annotations)).pipe(
    Schema.decodeTo(
      Schema.declare((given): given is T | A => given !== null),
      {
        decode: SchemaGetter.transformOptional((value) => Option.some(Option.getOrNull(value) ?? absent)),
        encode: onlyDecoded
      }
    )
  )

/** Makes a setting with a default. */
export const setting = <T, E>(schema: Schema.Codec<T, E>, description: string, byDefault: NoInfer<T>) => {
  const { expected, written } = Schema.resolveAnnotations(schema) ?? {}
  const shown = typeof written === "function" ? written(byDefault) : byDefault
  return keyOf(schema, byDefault, { expected, description, default: shown })
}

/** Makes a setting or section without a default. */
export const optionalSetting = <T, E>(schema: Schema.Codec<T, E>, description: string) => {
  const { allOf, expected } = Schema.resolveAnnotations(schema) ?? {}
  return keyOf(schema, undefined, { allOf, expected, description })
}

/** Makes a setting without a default that limits something. It may be absent and not null: a null that a template left would permit more. */
export const limit = <T, E>(schema: Schema.Codec<T, E>, description: string) =>
  // As a union, it has the annotations on its encoded side too.
  Schema.optionalKey(
    Schema.Union([schema]).annotate({ expected: Schema.resolveAnnotations(schema)?.["expected"], description })
  )

/** Makes a section whose settings have their defaults if it is absent. */
export const subsection = <T, E>(schema: Schema.Codec<T, E>, description: string, empty: NoInfer<E>) =>
  Schema.optionalKey(
    Schema.NullOr(Schema.toEncoded(schema)).annotate({ expected: "a JSON object", description, default: empty })
  ).pipe(
    Schema.decodeTo(schema, {
      decode: SchemaGetter.transformOptional((value) => Option.some(Option.getOrNull(value) ?? empty)),
      encode: onlyDecoded
    })
  )

/** Makes a JSON object of settings. */
export const section = <Fields extends Schema.Struct.Fields>(fields: Fields) =>
  Schema.Struct(fields).annotate({ expected: "a JSON object" })

/** Rejects a section in which `key` has this value and `needed` is empty. JSON Schema gets the rule as `allOf`. */
export const requires = <Key extends string, Needed extends string>(
  key: Key,
  value: string | boolean,
  needed: Needed,
  message: string
) =>
  Schema.makeFilter(
    (given: Readonly<Record<Key | Needed, unknown>>) =>
      given[key] !== value || given[needed] !== "" || { path: [needed], issue: message },
    {
      expected: "a JSON object",
      allOf: [
        {
          if: { properties: { [key]: { const: value } }, required: [key] },
          // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema; nothing awaits it
          then: { required: [needed], properties: { [needed]: { type: "string", minLength: 1 } } }
        }
      ]
    }
  )

/** Reads what the schema accepts; undefined rejects it after all. */
export const readWith = <A, E, B>(schema: Schema.Codec<A, E>, to: Schema.Codec<B>, read: (given: A) => B | undefined) =>
  schema.pipe(
    Schema.decodeTo(to, {
      decode: SchemaGetter.transformEffect((given) => {
        const value = read(given)
        return value === undefined ? Effect.fail(new SchemaIssue.InvalidValue()) : Effect.succeed(value)
      }),
      encode: onlyDecoded
    })
  )

/** Accepts strings that match. JSON Schema has patterns only of expressions with the flag `u`. */
export const text = (pattern: RegExp, expected: string, description?: string) =>
  Schema.String.check(Schema.isPattern(pattern, description === undefined ? { expected } : { expected, description }))

/** A glob on names. */
export const glob = Schema.String.check(
  Schema.isMinLength(1),
  Schema.makeFilter((given) => {
    const issue = globMistake(given)
    return issue === undefined || { path: [], issue }
  })
)

/** Accepts a path. With a description it is a setting that is required. */
export const pathText = (description?: string) => text(/^~?\//u, "an absolute path, or begin with ~/", description)
export const filePath = pathText()

export const oneOf = <const Value extends string>(
  values: ReadonlyArray<Value>,
  expected = `one of ${values.join(", ")}`,
  description?: string
) => Schema.Literals(values).annotate(description === undefined ? { expected } : { expected, description })

export const flag = Schema.Boolean.annotate({ expected: "true or false" })

/** A whole number above 0. */
export const count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1, { expected: "a whole number above 0" }))

/** A whole number that may be 0, or its digits: environment variables have only text. */
export const amount = readWith(
  Schema.Union([Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)), text(/^[0-9]{1,15}$/u, "digits")]),
  Schema.Number,
  Number
).annotate({ expected: "a whole number" })

/** Accepts a duration as a string, or as a number of nanoseconds; without bounds any above 0. */
export const duration = (bounds?: { readonly minimum: GoDuration; readonly maximum: GoDuration }) => {
  const { maximum, minimum } = bounds ?? { minimum: 1n, maximum: 2n ** 63n - 1n }
  const nanoseconds = Schema.Finite.check(
    Schema.makeFilter(Number.isInteger, { toJsonSchema: () => ({ type: "integer" }) }),
    Schema.isGreaterThanOrEqualTo(Number(minimum)),
    // A double has 2^63, but not the number before it.
    Schema.isLessThan(Number(maximum + 1n))
  )
  const expected =
    bounds === undefined
      ? 'a positive duration like "1h30m", or a number of nanoseconds'
      : `a duration from ${durationText(minimum)} to ${durationText(maximum)} like "10s", or a number of nanoseconds`
  return readWith(
    Schema.Union([text(new RegExp(durationPattern, "u"), "a duration"), nanoseconds]),
    Schema.BigInt,
    (given) => {
      const length = typeof given === "number" ? BigInt(given) : Result.getOrElse(parseDuration(given), () => 0n)
      return length >= minimum && length <= maximum ? length : undefined
    }
  ).annotate({ expected, written: durationText })
}

/** Accepts a size in bytes, as a number or with a unit; at least `minimum`. */
export const size = (minimum: number) =>
  readWith(
    Schema.Union([
      text(/^[0-9]{1,12}\s*([kKmMgG]?[bB])?$/u, "a size"),
      Schema.Int.check(Schema.isBetween({ minimum, maximum: 10 ** 12 - 1 }))
    ]),
    Schema.Number,
    (given) => {
      const unit = /[kmg]/i.exec(String(given))?.[0].toLowerCase() ?? ""
      const bytes = Number.parseInt(String(given), 10) * 1000 ** ["", "k", "m", "g"].indexOf(unit)
      return Number.isSafeInteger(bytes) && bytes >= minimum ? bytes : undefined
    }
  ).annotate({
    expected: `a size like "10MB", or a number of bytes, of at least ${minimum}`,
    written: (bytes: number) => (bytes % 1e6 === 0 ? `${bytes / 1e6}MB` : `${bytes / 1000}kB`)
  })

/** A setting by its full name: "heartbeat.interval" is the key `interval` in the section `heartbeat`. */
export interface Setting {
  readonly name: string
  readonly description: string
  readonly expected: string
  /** As it would be written in the file; undefined if there is none. */
  readonly default?: unknown
}

/**
 * Lists the settings of a section by the syntax tree of its encoded side; a section stands before what is in it. The
 * settings of a list of sections stand after `[]`, those of sections with names of the user after `*`.
 */
export const settingsIn = (tree: SchemaAST.AST, above = ""): ReadonlyArray<Setting> =>
  SchemaAST.isArrays(tree)
    ? tree.rest.flatMap((item) => settingsIn(item, `${above.slice(0, -1)}[].`))
    : !SchemaAST.isObjects(tree)
      ? []
      : [...tree.propertySignatures, ...namedSections(tree)].flatMap(({ name, type }) => {
          const {
            default: byDefault,
            description = "",
            expected = ""
          }: Partial<Setting> = SchemaAST.resolve(type) ?? {}
          const setting = { name: `${above}${String(name)}`, description, expected, default: byDefault }
          return [setting, ...membersOf(type).flatMap((member) => settingsIn(member, `${setting.name}.`))]
        })

/** Returns the types that a setting may have, without the unions that they are in. */
const membersOf = (type: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> =>
  SchemaAST.isUnion(type) ? type.types.flatMap(membersOf) : [type]

const namedSections = ({ indexSignatures }: SchemaAST.Objects) =>
  indexSignatures.flatMap(({ type }) => (SchemaAST.isObjects(type) ? [{ name: "*", type }] : []))
