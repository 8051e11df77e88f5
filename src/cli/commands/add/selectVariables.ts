/**
 * The variables of a dotenv file that are imported. Every error is found before anything is
 * added; errors in variables that are not selected do not count.
 */
import * as Effect from "effect/Effect"
import { closestMatch } from "../../../domain/closestMatch.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { globMatcher } from "../../../domain/glob.ts"
import { nameLimit, valueLimit } from "../../../domain/Secret.ts"
import { maxImported } from "../../../rpc/protocol/limits.ts"
import { CommandError } from "../../command/CommandError.ts"
import { usageError } from "../../command/Output.ts"
import { parseDotenv } from "./dotenv.ts"

export interface Selection {
  readonly file: string
  readonly prefix: string
  /** Names and globs; undefined for all variables. */
  readonly only: ReadonlyArray<string> | undefined
  readonly except: ReadonlyArray<string>
  /** Leaves out variables without a value, which are errors otherwise. */
  readonly skipEmpty: boolean
}

export interface Variable {
  readonly variable: string
  /** The name of the secret. */
  readonly secret: string
  readonly value: string
}

export const selectVariables = Effect.fnUntraced(function* (text: string, selection: Selection) {
  const { file, prefix, skipEmpty } = selection
  const { entries, errors } = parseDotenv(text)
  const names = [...entries, ...errors].flatMap(({ name }) => name ?? [])
  const isSelected = selectorOf(selection)
  const wrong = errors.filter(({ name }) => name === undefined || isSelected(name))
  const wanted = entries.filter(({ name }) => isSelected(name))
  const selected = wanted.filter(({ value }) => value !== "" || !skipEmpty)
  const problems = [
    ...unknownNames(selection, names),
    ...wrong.map(({ line, reason }) => `line ${line}: ${reason}`),
    ...selected.flatMap(({ name, value }) => tooLong(`${prefix}${name}`, name, value)),
    ...(selected.length > maxImported ? [`more than ${maxImported} variables`] : [])
  ]
  const empty = selected.filter(({ value }) => value === "").map(({ name }) => name)
  if (problems.length === 0 && empty.length > 0) {
    return yield* rejected(
      `${escapeValue(file)}: no value for ${empty.join(", ")}`,
      "Give these variables values, or leave them out with --skip-empty. Nothing was added"
    )
  }
  const all = [...problems, ...(empty.length > 0 ? [`no value for ${empty.join(", ")}`] : [])]
  const [first = ""] = all
  const fix = "Correct the file and try again. Nothing was added"
  if (all.length === 1)
    return yield* rejected(`${escapeValue(file)}${first.startsWith("line ") ? ", " : ": "}${first}`, fix)
  if (all.length > 1) return yield* rejected(`${escapeValue(file)} has ${all.length} errors`, fix, all)
  if (selected.length === 0) {
    const none = names.length === 0 ? "Name a file with lines of NAME=VALUE" : "Select others with --only and --except"
    return yield* rejected(`${escapeValue(file)} has no variable to add`, none)
  }
  return {
    variables: selected.map(({ name, value }): Variable => ({ variable: name, secret: `${prefix}${name}`, value })),
    /** The variables that `skipEmpty` leaves out. */
    skipped: skipEmpty ? wanted.flatMap(({ name, value }) => (value === "" ? [name] : [])) : []
  }
})

const selectorOf = ({ except, only }: Selection): ((name: string) => boolean) => {
  const [included, excluded] = [(only ?? ["*"]).map(globMatcher), except.map(globMatcher)]
  return (name) => included.some((matches) => matches(name)) && !excluded.some((matches) => matches(name))
}

/** Finds words of --only and --except that match no variable. */
const unknownNames = ({ except, only = [] }: Selection, names: ReadonlyArray<string>): ReadonlyArray<string> =>
  [...only, ...except].flatMap((word) => {
    if (names.some(globMatcher(word))) return []
    const meant = closestMatch(word, names)
    return [`no variable ${escapeValue(word)}${meant === undefined ? "" : `; did you mean ${meant}?`}`]
  })

const tooLong = (secret: string, name: string, value: string): ReadonlyArray<string> => [
  ...(Buffer.byteLength(secret) > nameLimit ? [`the name ${name} is longer than ${nameLimit} bytes`] : []),
  ...(Buffer.byteLength(value) > valueLimit ? [`the value of ${name} is longer than ${valueLimit} bytes`] : [])
]

const rejected = (message: string, fix: string, why: ReadonlyArray<string> = []): CommandError =>
  new CommandError({ ...usageError(message, fix), why: firstLines(why) })

/** A longer list is no help. */
const maxLines = 20

/** Returns the first of many lines, and how many more there are. */
export const firstLines = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length <= maxLines ? lines : [...lines.slice(0, maxLines), `and ${lines.length - maxLines} more`]
