/**
 * Validates a JSON value against a JSON Schema (draft 2020-12), for the keywords that our
 * schemas use. An unknown keyword is an error.
 */
import * as assert from "node:assert"

type Json = any

const typeOf = (value: Json): string => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value)

const isType = (type: string, value: Json): boolean =>
  type === "integer" ? Number.isInteger(value) : typeOf(value) === type

const membersOf = (value: Json): ReadonlyArray<[string, Json]> =>
  typeOf(value) === "object" ? Object.entries(value) : []

const numeric = (holds: (value: number, bound: number) => boolean) => (bound: Json, value: Json) =>
  typeof value !== "number" || holds(value, bound)

/** Annotations, and `then`, which `if` reads. */
const annotations = new Set(["$schema", "title", "description", "default", "then"])

const keywords: Readonly<Record<string, (expected: Json, value: Json, schema: Json) => boolean>> = {
  type: (types, value) => [types].flat().some((type: string) => isType(type, value)),
  enum: (values, value) => values.includes(value),
  const: (expected, value) => expected === value,
  minimum: numeric((value, bound) => value >= bound),
  maximum: numeric((value, bound) => value <= bound),
  exclusiveMaximum: numeric((value, bound) => value < bound),
  minLength: (least, value) => typeof value !== "string" || [...value].length >= least,
  maxLength: (most, value) => typeof value !== "string" || [...value].length <= most,
  pattern: (pattern, value) => typeof value !== "string" || new RegExp(pattern, "u").test(value),
  minItems: (least, value) => !Array.isArray(value) || value.length >= least,
  maxItems: (most, value) => !Array.isArray(value) || value.length <= most,
  items: (items, value) => !Array.isArray(value) || value.every((item) => fits(items, item)),
  required: (keys, value) => typeOf(value) !== "object" || keys.every((key: string) => Object.hasOwn(value, key)),
  properties: (properties, value) =>
    membersOf(value).every(([key, member]) => !Object.hasOwn(properties, key) || fits(properties[key], member)),
  additionalProperties: (others, value, { properties = {} }) =>
    membersOf(value).every(([key, member]) => Object.hasOwn(properties, key) || fits(others, member)),
  propertyNames: (names, value) => membersOf(value).every(([key]) => fits(names, key)),
  anyOf: (some, value) => some.some((one: Json) => fits(one, value)),
  allOf: (all, value) => all.every((one: Json) => fits(one, value)),
  if: (condition, value, { then }) => !fits(condition, value) || fits(then, value)
}

export const fits = (schema: Json, value: Json): boolean =>
  Object.entries(schema).every(([keyword, expected]) => {
    if (annotations.has(keyword)) return true
    const holds = keywords[keyword]
    assert.ok(holds !== undefined, `unknown keyword in the schema: ${keyword}`)
    return holds(expected, value, schema)
  })
