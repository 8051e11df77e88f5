/**
 * What a command is: its words, its flags, its help and how its line is read.
 *
 * A command is defined once; parsing and help both come from that. Flags of every
 * command stand before or after its name. Those that once had a meaning are still
 * taken, without a word, because scripts pass them.
 */
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { parseArgs } from "node:util"
import type { Failure } from "./Failure.ts"
import { misuse } from "./Failure.ts"

export interface Flag {
  readonly type: "string" | "boolean"
  /** One letter that stands for it, after a single dash. */
  readonly short?: string
  /** For the help; a flag without it is taken but not shown. */
  readonly summary?: string
  /** What stands for its value in the help. */
  readonly value?: string
}

export type Flags = Readonly<Record<string, Flag>>

type NamesOf<F extends Flags, Type extends Flag["type"]> = {
  [Name in keyof F]: F[Name]["type"] extends Type ? Name : never
}[keyof F] &
  string

/** What was given on the line. */
export interface Line<F extends Flags> {
  readonly operands: ReadonlyArray<string>
  readonly text: (flag: NamesOf<F, "string">) => string | undefined
  readonly given: (flag: NamesOf<F, "boolean">) => boolean
}

/** What a command gives back: something for programs, and how people read it. */
export interface Output {
  readonly result: unknown
  /** What goes to standard output as it is; undefined for nothing. */
  readonly text: string | undefined
  /** Where there is a result and it is a bad one: what is wrong, beside it. */
  readonly failure?: Failure | undefined
}

export interface Definition<F extends Flags, R> {
  readonly name: string
  readonly summary: string
  /** The operands, as the help shows them. */
  readonly operands?: string
  /** How many operands there are: at least, at most. */
  readonly arity: readonly [number, number]
  readonly flags: F
  readonly examples: ReadonlyArray<string>
  readonly run: (line: Line<F & typeof everywhere>) => Effect.Effect<Output, Failure, R>
}

export interface Command<R> {
  readonly name: string
  readonly summary: string
  readonly help: string
  readonly parse: (args: ReadonlyArray<string>) => Result.Result<Parsed<R>, Failure>
}

export interface Parsed<R> {
  readonly wants: "help" | "run"
  readonly json: boolean
  readonly run: Effect.Effect<Output, Failure, R>
}

export const everywhere = {
  json: { type: "boolean", summary: "print a JSON envelope" },
  socket: { type: "string", value: "PATH", summary: "the daemon's socket" },
  config: { type: "string", value: "PATH", summary: "another config.json" },
  timeout: { type: "string", value: "SECONDS", summary: "how long to wait for the daemon (5)" },
  help: { type: "boolean", summary: "show this help" },
  "no-update-check": { type: "boolean" },
  human: { type: "boolean" },
  output: { type: "string" }
} as const satisfies Flags

export const define = <const F extends Flags, R>(definition: Definition<F, R>): Command<R> => {
  const flags = { ...everywhere, ...definition.flags }
  const usage = ["secrets", definition.name, definition.operands, "[flags]"].filter(Boolean).join(" ")
  const seeHelp = `See: secrets ${definition.name} --help`
  return {
    name: definition.name,
    summary: definition.summary,
    help: help(usage, definition),
    parse: (args) => {
      const read = readFlags(args, flags)
      if (Result.isFailure(read)) return Result.fail(misuse(read.failure, seeHelp))
      const { values, positionals } = read.success
      const wantsHelp = values["help"] === true
      const [least, most] = definition.arity
      if (!wantsHelp && (positionals.length < least || positionals.length > most)) {
        const wanted = least === most ? `${least}` : `${least} to ${most}`
        return Result.fail(misuse(`takes ${wanted} arguments, ${positionals.length} were given`, `Usage: ${usage}`))
      }
      const text = (flag: string) => {
        const value = values[flag]
        return typeof value === "string" ? value : undefined
      }
      return Result.succeed({
        wants: wantsHelp ? "help" : "run",
        json: values["json"] === true,
        run: definition.run({ operands: positionals, text, given: (flag) => values[flag] === true })
      })
    }
  }
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

const readFlags = (args: ReadonlyArray<string>, flags: Flags) =>
  Result.try({
    try: () =>
      parseArgs({
        args: joinValues(args, flags),
        options: Object.fromEntries(
          Object.entries(flags).map(([name, { short, type }]) => [
            name,
            short === undefined ? { type } : { type, short }
          ])
        ),
        allowPositionals: true
      }),
    catch: (error) => (error instanceof Error ? (error.message.split(". ")[0] ?? "") : "the flags cannot be read")
  })

/** A flag takes the next word whatever it looks like: values begin with dashes, keys in PEM form for one. */
const joinValues = (args: ReadonlyArray<string>, flags: Flags): Array<string> => {
  const joined: Array<string> = []
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? ""
    if (word === "--") return [...joined, ...args.slice(at)]
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

const help = <F extends Flags, R>(usage: string, definition: Definition<F, R>): string => {
  const rows = [...Object.entries<Flag>(definition.flags), ...Object.entries<Flag>(everywhere)]
    .filter(([, flag]) => flag.summary !== undefined)
    .map(
      ([name, flag]) => [`--${name}${flag.value === undefined ? "" : ` ${flag.value}`}`, flag.summary ?? ""] as const
    )
  const width = Math.max(...rows.map(([left]) => left.length))
  return [
    `${definition.summary}.`,
    "",
    `Usage: ${usage}`,
    "",
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    "",
    "Examples:",
    ...definition.examples.map((example) => `  ${example}`),
    ""
  ].join("\n")
}
