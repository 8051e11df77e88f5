/**
 * A setting of config.json, described once: how it is read, and what an editor and
 * the docs are told of it. Here are the kinds there are; the settings themselves are
 * where they are used. docs/config.schema.json and docs/settings.md are made from them.
 *
 * What a form takes, `read` takes as well, but for what no pattern tells: sums, ranges
 * of texts, addresses that only look like some. The failures of reading name the
 * setting and what is expected of it, and never what was there: it may be a credential.
 */
import * as Result from "effect/Result"
import type { GoDuration } from "./GoDuration.ts"
import { format, parse, pattern as durationPattern } from "./GoDuration.ts"
import { pathIn } from "./paths.ts"

/** Some JSON Schema, draft 2020-12. */
export type Form = Readonly<Record<string, unknown>>

export interface Setting<A> {
  /** Where it stands: "heartbeat.interval" is `interval` in the section `heartbeat`. */
  readonly name: string
  readonly description: string
  /** What may be written. Null may be, everywhere: it counts as absent. */
  readonly form: Form
  /** What holds where nothing is written. */
  readonly standard: A
  /** The same, as one would write it; undefined where it is nothing that is written. */
  readonly written: unknown
  /** `name` is what the failure calls it: some can also be set outside of the file. */
  readonly read: (value: unknown, name: string, home: string) => Result.Result<A, string>
}

/** Members by their names; one that is null counts as absent. */
export type Section = ReadonlyMap<string, unknown>

/** What a section holds for a setting, or what holds where it holds nothing. */
export const valueIn = <A>(section: Section, setting: Setting<A>, home = ""): Result.Result<A, string> => {
  const value = section.get(setting.name.slice(setting.name.lastIndexOf(".") + 1))
  return value === undefined ? Result.succeed(setting.standard) : setting.read(value, setting.name, home)
}

export const sectionOf = (value: unknown, name: string): Result.Result<Section, string> =>
  typeof value !== "object" || value === null || Array.isArray(value)
    ? Result.fail(`${name} must hold a JSON object`)
    : Result.succeed(new Map<string, unknown>(Object.entries(value).filter(([, member]) => member !== null)))

/** The settings in it are described on their own; `rules` is what the form says of more than one of them. */
export const section = (name: string, description: string, rules: Form = {}): Setting<Section | undefined> => ({
  name,
  description,
  form: { type: "object", ...rules },
  standard: undefined,
  written: undefined,
  read: sectionOf
})

/** A rule of a form: these are there, and neither null nor empty. */
export const needs = (...keys: ReadonlyArray<string>): Form => ({
  required: keys,
  properties: Object.fromEntries(keys.map((key) => [key, { type: "string", minLength: 1 }]))
})

/** A rule of a form: where `key` has this value, `needed` is there. */
export const needsIf = (key: string, value: unknown, needed: string): Form => ({
  if: { properties: { [key]: { const: value } }, required: [key] },
  // oxlint-disable-next-line unicorn/no-thenable -- the word is JSON Schema's; nobody awaits a form
  then: needs(needed)
})

const expecting =
  <A>(expected: string, value: (given: unknown) => A | undefined) =>
  (given: unknown, name: string): Result.Result<A, string> => {
    const found = value(given)
    return found === undefined ? Result.fail(`${name} must be ${expected}`) : Result.succeed(found)
  }

const readPath: Setting<string | undefined>["read"] = (value, name, home) => {
  if (typeof value !== "string") return Result.fail(`${name} must be a path in quotes`)
  if (value === "") return Result.fail(`${name} cannot be empty`)
  const whole = pathIn(value, home)
  return whole === undefined ? Result.fail(`${name} must be an absolute path, or begin with ~/`) : Result.succeed(whole)
}

/** A path; what holds without it depends on other things than the file. */
export const path = (name: string, description: string, written?: string): Setting<string | undefined> => ({
  name,
  description,
  form: { type: "string", pattern: "^~?/" },
  standard: undefined,
  written,
  read: readPath
})

export interface FileSetting extends Setting<string | undefined> {
  /** What it is called in the state directory, if it is not elsewhere. */
  readonly file: string
}

export const file = (name: string, description: string, called: string): FileSetting => ({
  ...path(name, description),
  file: called
})

/** As short as one would write it: "1h", not "1h0m0s". */
const shortly = (length: GoDuration): string => format(length).replaceAll(/(?<=[hm])0[ms]/g, "")

const durationSetting = (
  name: string,
  description: string,
  standard: GoDuration,
  read: Setting<GoDuration>["read"],
  numbers: Form
): Setting<GoDuration> => ({
  name,
  description,
  form: { type: ["string", "integer"], pattern: durationPattern, ...numbers },
  standard,
  written: shortly(standard),
  read
})

const readDuration: Setting<GoDuration>["read"] = (value, name) => {
  const length =
    typeof value === "string"
      ? parse(value)
      : typeof value === "number" && Number.isInteger(value) && value < 2 ** 63
        ? Result.succeed(BigInt(value))
        : Result.fail("")
  if (Result.isFailure(length)) {
    return Result.fail(`${name} must be a duration like "1h30m", or a number of nanoseconds`)
  }
  return length.success > 0n ? length : Result.fail(`${name} must be positive`)
}

/** A text, or nanoseconds; above 0. */
export const duration = (name: string, description: string, standard: GoDuration): Setting<GoDuration> =>
  durationSetting(name, description, standard, readDuration, { minimum: 1, exclusiveMaximum: 2 ** 63 })

/** A duration with bounds. */
export const durationWithin = (
  name: string,
  description: string,
  standard: GoDuration,
  [least, most]: readonly [GoDuration, GoDuration]
): Setting<GoDuration> => {
  const read = expecting(`a duration like "10s", from ${shortly(least)} to ${shortly(most)}`, (given) => {
    const length =
      typeof given === "string"
        ? Result.getOrUndefined(parse(given))
        : Number.isSafeInteger(given)
          ? BigInt(Number(given))
          : undefined
    return length !== undefined && length >= least && length <= most ? length : undefined
  })
  return durationSetting(name, description, standard, read, { minimum: Number(least), maximum: Number(most) })
}

const sizeUnits: ReadonlyMap<string, number> = new Map([
  ["KB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9]
])

/** Bytes, as a number or with a unit; at least so many. */
export const size = (name: string, description: string, standard: number, least: number): Setting<number> => ({
  name,
  description,
  form: {
    type: ["string", "integer"],
    pattern: String.raw`^[0-9]{1,12}\s*([kKmMgG]?[bB])?$`,
    minimum: least,
    maximum: 10 ** 12 - 1
  },
  standard,
  written: `${standard / 1e6}MB`,
  read: expecting(`a size like "10MB", or a number of bytes, of at least ${least}`, (given) => {
    const [, digits, unit = ""] = /^(\d{1,12})\s*([kMG]?B)?$/i.exec(String(given)) ?? []
    const bytes = Number(digits) * (sizeUnits.get(unit.toUpperCase()) ?? 1)
    return Number.isSafeInteger(bytes) && bytes >= least ? bytes : undefined
  })
})

/** A whole number above 0. */
export const count = (name: string, description: string, standard: number): Setting<number> => ({
  name,
  description,
  form: { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
  standard,
  written: standard,
  read: expecting("a whole number above 0", (given) =>
    typeof given === "number" && Number.isSafeInteger(given) && given > 0 ? given : undefined
  )
})

/** A whole number that may be 0. What stands for one is read as well, for the environment has only texts. */
export const amount = (name: string, description: string, standard: number): Setting<number> => ({
  name,
  description,
  form: { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  standard,
  written: standard,
  read: expecting("a whole number", (given) => {
    const number = Number(given)
    return Number.isSafeInteger(number) && number >= 0 ? number : undefined
  })
})

export const flag = (name: string, description: string): Setting<boolean> => ({
  name,
  description,
  form: { type: "boolean" },
  standard: false,
  written: false,
  read: expecting("true or false", (given) => (typeof given === "boolean" ? given : undefined))
})

export const oneOf = <Value extends string>(
  name: string,
  description: string,
  values: ReadonlyArray<Value>,
  standard: Value,
  expected = `one of ${values.join(", ")}`
): Setting<Value> => ({
  name,
  description,
  form: { enum: values },
  standard,
  written: standard,
  read: expecting(expected, (given) => values.find((value) => value === given))
})

/** Some of these, in their own order, and at least one; all of them without it. */
export const someOf = <Value extends string>(
  name: string,
  description: string,
  values: ReadonlyArray<Value>
): Setting<ReadonlyArray<Value>> => ({
  name,
  description,
  form: { type: "array", items: { enum: values }, minItems: 1 },
  standard: values,
  written: values,
  read: expecting(`a list of some of ${values.join(", ")}`, (given) => {
    if (!Array.isArray(given)) return undefined
    const found = values.filter((value) => given.includes(value))
    return found.length > 0 && new Set(given).size === found.length ? found : undefined
  })
})

/** A text that is empty if it is not set. */
export const text = (
  name: string,
  description: string,
  { expected, pattern, isOne = (text) => pattern?.test(text) ?? true }: TextKind
): Setting<string> => ({
  name,
  description,
  form: { type: "string", ...(pattern === undefined ? {} : { pattern: pattern.source.replaceAll("\\/", "/") }) },
  standard: "",
  written: undefined,
  read: expecting(expected, (given) => (typeof given === "string" && isOne(given) ? given : undefined))
})

export interface TextKind {
  readonly expected: string
  readonly pattern?: RegExp
  /** Asked in place of the pattern, where that only comes near. */
  readonly isOne?: (text: string) => boolean
}
