/**
 * What a command is: its words, its flags, its help and how its line is read.
 *
 * A command is defined once; parsing, help, completions and the manual all come from
 * that. Flags of every command stand before or after its name. Those that once had a
 * meaning are still taken, without a word, because scripts pass them. Nothing here
 * needs more than Node, so that a command that only asks starts at once.
 */
import type * as Effect from "effect/Effect"
import { parseArgs } from "node:util"
import type { CommandError } from "./CommandError.ts"
import type { Output, Problem } from "./Output.ts"
import { usageError } from "./Output.ts"

export interface Flag {
  readonly type: "string" | "boolean"
  /** One letter that stands for it, after a single dash. */
  readonly short?: string
  /** For the help; a flag without it is taken but not shown. */
  readonly summary?: string
  /** What stands for its value in the help. */
  readonly value?: string
  /** What the shell completes its value with. */
  readonly completes?: Completion
  /** It may be given more than once; `texts` gives all of them. */
  readonly repeated?: true
}

/** What a word of the line names: something the daemon knows, a file, or one of these. */
export type Completion = "secret" | "client" | "lease" | "file" | ReadonlyArray<string>

export type Flags = Readonly<Record<string, Flag>>

type NamesOf<F extends Flags, Type extends Flag["type"]> = {
  [Name in keyof F]: F[Name]["type"] extends Type ? Name : never
}[keyof F] &
  string

/** What was given on the line. */
export interface Args<F extends Flags> {
  readonly positionals: ReadonlyArray<string>
  readonly option: (flag: NamesOf<F, "string">) => string | undefined
  readonly options: (flag: NamesOf<F, "string">) => ReadonlyArray<string>
  readonly flag: (flag: NamesOf<F, "boolean">) => boolean
}

/** The line of a command that takes these flags. */
export type ArgsOf<F extends Flags> = Args<F> & Args<typeof globalFlags>

/** A number that JSON can hold: the specs are JSON in the built program. */
export const unlimited = Number.MAX_SAFE_INTEGER

/** What a command looks like from outside. */
export interface CommandSpec<F extends Flags> {
  readonly name: string
  readonly summary: string
  /** The operands, as the help shows them. */
  readonly positionals?: string
  /** How many operands there are: at least, at most (`unlimited` if there is no limit). */
  readonly arity: readonly [number, number]
  /** What the shell completes the operands with. */
  readonly completes?: Completion
  readonly flags: F
  readonly examples: ReadonlyArray<string>
  /** The operands are another program's command line: from the first of them on no flag is ours. */
  readonly runsProgram?: true
  /** Paragraphs of the help behind the summary, for what the flags cannot say. */
  readonly about?: string
}

export interface CommandDefinition<F extends Flags, R> extends CommandSpec<F> {
  readonly run: (args: ArgsOf<F>) => Effect.Effect<Output, CommandError, R>
}

export interface Command<R> {
  readonly spec: CommandSpec<Flags>
  readonly parse: (args: ReadonlyArray<string>) => Parsed<R>
}

export type Parsed<R> =
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "usage-error"; readonly json: boolean; readonly problem: Problem }
  | { readonly kind: "run"; readonly json: boolean; readonly run: () => Effect.Effect<Output, CommandError, R> }

export const globalFlags = {
  json: { type: "boolean", summary: "print a JSON envelope" },
  socket: { type: "string", value: "PATH", summary: "the daemon's socket", completes: "file" },
  config: { type: "string", value: "PATH", summary: "another config.json", completes: "file" },
  timeout: { type: "string", value: "SECONDS", summary: "how long to wait for the daemon (5)" },
  help: { type: "boolean", short: "h", summary: "show this help" },
  "no-update-check": { type: "boolean" },
  human: { type: "boolean" },
  output: { type: "string" }
} as const satisfies Flags

export const defineCommand = <const F extends Flags, R>(definition: CommandDefinition<F, R>): Command<R> => ({
  spec: definition,
  parse: (args) => {
    const reading = parseArguments(definition, args)
    return reading.kind === "run" ? { ...reading, run: () => definition.run(reading.args) } : reading
  }
})

export type ParsedArgs<F extends Flags> =
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "usage-error"; readonly json: boolean; readonly problem: Problem }
  | { readonly kind: "run"; readonly json: boolean; readonly args: ArgsOf<F> }

/** Reads the words of a line, without the name of the command. */
export const parseArguments = <F extends Flags>(spec: CommandSpec<F>, args: ReadonlyArray<string>): ParsedArgs<F> => {
  const { values, positionals, wrong } = readFlags(args, { ...globalFlags, ...spec.flags }, spec.runsProgram)
  if (wrong !== undefined) {
    const problem = usageError(wrong, `See: ${["secrets", spec.name, "--help"].filter(Boolean).join(" ")}`)
    return { kind: "usage-error", json: args.includes("--json"), problem }
  }
  if (values["help"] === true) return { kind: "help", text: helpOf(spec) }
  const json = values["json"] === true
  const [least, most] = spec.arity
  if (positionals.length < least || positionals.length > most) {
    const many = most === unlimited ? `at least ${least}` : `${least} to ${most}`
    const wanted = least === most ? `${least}` : many
    const noun = wanted === "1" || wanted === "at least 1" ? "argument" : "arguments"
    const given = `${positionals.length} ${positionals.length === 1 ? "was" : "were"} given`
    const problem = usageError(`takes ${wanted} ${noun}, ${given}`, `Usage: ${usageOf(spec)}`)
    return { kind: "usage-error", json, problem }
  }
  const options = (name: string) => {
    const value = values[name]
    return (Array.isArray(value) ? value : [value]).filter((one) => typeof one === "string")
  }
  const parsed = {
    positionals,
    option: (name: string) => options(name).at(-1),
    options,
    flag: (name: string) => values[name] === true
  }
  return { kind: "run", json, args: parsed }
}

/** Finds the command, whose alias is resolved, and the words before and after its name. */
export const findCommand = (
  args: ReadonlyArray<string>
): { readonly name: string | undefined; readonly rest: ReadonlyArray<string> } => {
  const at = commandIndex(args)
  const given = args[at]
  const rest = given === undefined ? args : [...args.slice(0, at), ...args.slice(at + 1)]
  return { name: given === undefined ? undefined : resolveAlias(given), rest }
}

const resolveAlias = (given: string): string => (given === "rm" ? "delete" : given)

/** The command's name is the first word that is neither a flag nor the value of one. */
const commandIndex = (args: ReadonlyArray<string>): number => {
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? ""
    if (!word.startsWith("-")) return at
    if (takesNext(word, globalFlags)) at += 1
  }
  return -1
}

const readFlags = (
  args: ReadonlyArray<string>,
  flags: Flags,
  runsProgram = false
): { values: Readonly<Record<string, unknown>>; positionals: ReadonlyArray<string>; wrong?: string } => {
  // Where there are none, nothing has to be read: nearly always, and it is a tenth of the time.
  if (!args.some((word) => word.startsWith("-"))) return { values: {}, positionals: args }
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { repeated = false, short, type }]) => [
      name,
      { type, multiple: repeated, ...(short === undefined ? {} : { short }) }
    ])
  )
  try {
    return parseArgs({ args: joinValues(args, flags, runsProgram), options, allowPositionals: true })
  } catch (error) {
    const wrong = error instanceof Error ? (error.message.split(". ")[0] ?? "") : "the flags cannot be read"
    return { values: {}, positionals: [], wrong }
  }
}

/** A flag takes the next word whatever it looks like: values begin with dashes, keys in PEM form for one. */
const joinValues = (args: ReadonlyArray<string>, flags: Flags, runsProgram: boolean): Array<string> => {
  const joined: Array<string> = []
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? ""
    if (word === "--") return [...joined, ...args.slice(at)]
    if (runsProgram && !word.startsWith("-")) return [...joined, "--", ...args.slice(at)]
    const next = args[at + 1]
    if (next !== undefined && takesNext(word, flags)) {
      joined.push(`${word}=${next}`)
      at += 1
    } else {
      joined.push(word)
    }
  }
  return joined
}

const takesNext = (word: string, flags: Flags): boolean =>
  word.startsWith("--") && Object.hasOwn(flags, word.slice(2)) && flags[word.slice(2)]?.type === "string"

export const usageOf = (spec: CommandSpec<Flags>): string =>
  ["secrets", spec.name, ...(spec.runsProgram ? ["[flags]", spec.positionals] : [spec.positionals, "[flags]"])]
    .filter(Boolean)
    .join(" ")

/** Those of the flags that are shown. */
export const visibleFlags = (flags: Flags): ReadonlyArray<readonly [name: string, flag: Flag]> =>
  Object.entries<Flag>(flags).filter(([, flag]) => flag.summary !== undefined)

/** The flags of a command that are shown, those of every command last. */
export const allFlags = (spec: CommandSpec<Flags>): ReadonlyArray<readonly [name: string, flag: Flag]> => [
  ...visibleFlags(spec.flags),
  ...visibleFlags(globalFlags)
]

/** A flag as the help shows it, the long names below one another. */
const wordOf = (name: string, { short, value }: Flag): string =>
  `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`

const helpOf = (spec: CommandSpec<Flags>): string => {
  const rows = allFlags(spec).map(([name, flag]) => [wordOf(name, flag), flag.summary ?? ""] as const)
  const width = Math.max(...rows.map(([left]) => left.length))
  return [
    `${spec.summary}.`,
    "",
    ...(spec.about === undefined ? [] : [spec.about, ""]),
    `Usage: ${usageOf(spec)}`,
    "",
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    "",
    "Examples:",
    ...spec.examples.map((example) => `  ${example}`),
    ""
  ].join("\n")
}
