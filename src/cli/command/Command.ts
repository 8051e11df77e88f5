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
import type { Failure } from "./Failure.ts"
import type { Output, Problem } from "./Output.ts"
import { misuse } from "./Output.ts"

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
export interface Line<F extends Flags> {
  readonly operands: ReadonlyArray<string>
  readonly text: (flag: NamesOf<F, "string">) => string | undefined
  readonly texts: (flag: NamesOf<F, "string">) => ReadonlyArray<string>
  readonly given: (flag: NamesOf<F, "boolean">) => boolean
}

/** The line of a command that takes these flags. */
export type LineOf<F extends Flags> = Line<F> & Line<typeof everywhere>

/** What a command looks like from outside. */
export interface Form<F extends Flags> {
  readonly name: string
  readonly summary: string
  /** The operands, as the help shows them. */
  readonly operands?: string
  /** How many operands there are: at least, at most. */
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

export interface Definition<F extends Flags, R> extends Form<F> {
  readonly run: (line: LineOf<F>) => Effect.Effect<Output, Failure, R>
}

export interface Command<R> {
  readonly form: Form<Flags>
  readonly parse: (args: ReadonlyArray<string>) => Parsed<R>
}

export type Parsed<R> =
  | { readonly wants: "help"; readonly text: string }
  | { readonly wants: "correction"; readonly json: boolean; readonly problem: Problem }
  | { readonly wants: "run"; readonly json: boolean; readonly run: Effect.Effect<Output, Failure, R> }

export const everywhere = {
  json: { type: "boolean", summary: "print a JSON envelope" },
  socket: { type: "string", value: "PATH", summary: "the daemon's socket", completes: "file" },
  config: { type: "string", value: "PATH", summary: "another config.json", completes: "file" },
  timeout: { type: "string", value: "SECONDS", summary: "how long to wait for the daemon (5)" },
  help: { type: "boolean", short: "h", summary: "show this help" },
  "no-update-check": { type: "boolean" },
  human: { type: "boolean" },
  output: { type: "string" }
} as const satisfies Flags

export const define = <const F extends Flags, R>(definition: Definition<F, R>): Command<R> => ({
  form: definition,
  parse: (args) => {
    const reading = read(definition, args)
    return reading.wants === "run" ? { ...reading, run: definition.run(reading.line) } : reading
  }
})

export type Reading<F extends Flags> =
  | { readonly wants: "help"; readonly text: string }
  | { readonly wants: "correction"; readonly json: boolean; readonly problem: Problem }
  | { readonly wants: "run"; readonly json: boolean; readonly line: LineOf<F> }

/** Reads the words of a line, without the name of the command. */
export const read = <F extends Flags>(form: Form<F>, args: ReadonlyArray<string>): Reading<F> => {
  const { values, positionals, wrong } = readFlags(args, { ...everywhere, ...form.flags }, form.runsProgram)
  if (wrong !== undefined) {
    const problem = misuse(wrong, `See: ${["secrets", form.name, "--help"].filter(Boolean).join(" ")}`)
    return { wants: "correction", json: args.includes("--json"), problem }
  }
  if (values["help"] === true) return { wants: "help", text: helpOf(form) }
  const json = values["json"] === true
  const [least, most] = form.arity
  if (positionals.length < least || positionals.length > most) {
    const many = most === Number.POSITIVE_INFINITY ? `at least ${least}` : `${least} to ${most}`
    const wanted = least === most ? `${least}` : many
    const noun = wanted === "1" || wanted === "at least 1" ? "argument" : "arguments"
    const given = `${positionals.length} ${positionals.length === 1 ? "was" : "were"} given`
    const problem = misuse(`takes ${wanted} ${noun}, ${given}`, `Usage: ${usageOf(form)}`)
    return { wants: "correction", json, problem }
  }
  const texts = (flag: string) => {
    const value = values[flag]
    return (Array.isArray(value) ? value : [value]).filter((one) => typeof one === "string")
  }
  const line = {
    operands: positionals,
    text: (flag: string) => texts(flag).at(-1),
    texts,
    given: (flag: string) => values[flag] === true
  }
  return { wants: "run", json, line }
}

/** Where the command's name is in the line: the first word that is neither a flag nor the value of one. */
export const nameAt = (args: ReadonlyArray<string>): number => {
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? ""
    if (!word.startsWith("-")) return at
    if (takesNext(word, everywhere)) at += 1
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

export const usageOf = (form: Form<Flags>): string =>
  ["secrets", form.name, ...(form.runsProgram ? ["[flags]", form.operands] : [form.operands, "[flags]"])]
    .filter(Boolean)
    .join(" ")

/** Those of the flags that are shown. */
export const shownOf = (flags: Flags): ReadonlyArray<readonly [name: string, flag: Flag]> =>
  Object.entries<Flag>(flags).filter(([, flag]) => flag.summary !== undefined)

/** The flags of a command that are shown, those of every command last. */
export const flagsOf = (form: Form<Flags>): ReadonlyArray<readonly [name: string, flag: Flag]> => [
  ...shownOf(form.flags),
  ...shownOf(everywhere)
]

/** A flag as the help shows it, the long names below one another. */
const wordOf = (name: string, { short, value }: Flag): string =>
  `${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`

const helpOf = (form: Form<Flags>): string => {
  const rows = flagsOf(form).map(([name, flag]) => [wordOf(name, flag), flag.summary ?? ""] as const)
  const width = Math.max(...rows.map(([left]) => left.length))
  return [
    `${form.summary}.`,
    "",
    ...(form.about === undefined ? [] : [form.about, ""]),
    `Usage: ${usageOf(form)}`,
    "",
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    "",
    "Examples:",
    ...form.examples.map((example) => `  ${example}`),
    ""
  ].join("\n")
}
