/**
 * Defines commands: a spec with flags and help, and a parser for the arguments.
 *
 * Each command has one spec, from which parsing, help, completions and the manual come.
 * Global flags may stand before or after the command's name. Flags without a summary
 * are hidden: they are obsolete, and scripts still pass them. The file uses Node alone,
 * so that a query command loads no library.
 */
import type * as Effect from "effect/Effect"
import { closestMatch } from "../../domain/closestMatch.ts"
import { resolveAlias } from "./aliases.ts"
import type { CommandError } from "./CommandError.ts"
import { type Output, type Problem, usageError } from "./Output.ts"

export interface Flag {
  readonly type: "string" | "boolean"
  /** One letter, for use after a single dash. */
  readonly short?: string
  /** Another spelling that is still taken. */
  readonly formerly?: string
  /** The environment variable that stands for the flag if it is not given. */
  readonly variable?: string
  /** The text for the help; a flag without it is hidden. */
  readonly summary?: string
  /** The placeholder of the value in the help. */
  readonly value?: string
  /** What the shell completes the value with. */
  readonly completes?: Completion
}

/** What an argument names: something in the daemon, routes with commas between them, a file, or one of these words. */
export type Completion = "secret" | "client" | "lease" | "route" | "routes" | "file" | ReadonlyArray<string>

/** Returns whether an argument names something in the daemon, where nothing has an empty name. */
const isName = (completes: Completion | undefined): boolean =>
  completes === "secret" || completes === "client" || completes === "lease"

export type Flags = Readonly<Record<string, Flag>>

type NamesOf<F extends Flags, Type extends Flag["type"]> = {
  [Name in keyof F]: F[Name]["type"] extends Type ? Name : never
}[keyof F] &
  string

/** The parsed arguments of a command with these flags. */
export interface Args<F extends Flags> {
  readonly positionals: ReadonlyArray<string>
  readonly option: (flag: NamesOf<F, "string">) => string | undefined
  readonly options: (flag: NamesOf<F, "string">) => ReadonlyArray<string>
  readonly flag: (flag: NamesOf<F, "boolean">) => boolean
}

/** The parsed arguments of a command with these flags and the global ones. */
export type ArgsOf<F extends Flags> = Args<F> & Args<typeof globalFlags>

/** JSON, which holds the specs in the built program, has no Infinity. */
export const unlimited = Number.MAX_SAFE_INTEGER

export interface CommandSpec<F extends Flags> {
  readonly name: string
  readonly summary: string
  /** The positional arguments as the help shows them. */
  readonly positionals?: string
  /** The least and the greatest number of positional arguments. */
  readonly arity: readonly [min: number, max: number]
  /** What the shell completes positional arguments with. */
  readonly completes?: Completion
  /** What it completes those after the first one with, where `completes` has the words of the first. */
  readonly completesNext?: Completion
  readonly flags: F
  readonly examples: ReadonlyArray<string>
  /** The positional arguments are a program's command line: flags after the first of them are the program's. */
  readonly runsProgram?: true
  /** Paragraphs of the help after the summary. */
  readonly about?: string
}

export interface CommandDefinition<F extends Flags, R> extends CommandSpec<F> {
  readonly run: (args: ArgsOf<F>) => Effect.Effect<Output, CommandError, R>
}

export interface Command<R> {
  readonly spec: CommandSpec<Flags>
  readonly parse: (args: ReadonlyArray<string>) => Parsed<R>
}

type NotRun =
  | { readonly kind: "help"; readonly json: boolean }
  | { readonly kind: "usage-error"; readonly json: boolean; readonly problem: Problem }

export type Parsed<R> =
  | NotRun
  | {
      readonly kind: "run"
      readonly json: boolean
      readonly args: Args<typeof globalFlags>
      readonly run: () => Effect.Effect<Output, CommandError, R>
    }

export type ParsedArgs<F extends Flags> =
  | NotRun
  | { readonly kind: "run"; readonly json: boolean; readonly args: ArgsOf<F> }

export const globalFlags = {
  json: { type: "boolean", summary: "print the result or the error as a JSON envelope" },
  socket: {
    type: "string",
    value: "PATH",
    summary: "the daemon's socket (AGENT_SECRETS_SOCKET)",
    completes: "file",
    variable: "AGENT_SECRETS_SOCKET"
  },
  config: {
    type: "string",
    value: "PATH",
    summary: "the settings file, instead of config.json (AGENT_SECRETS_CONFIG)",
    completes: "file",
    variable: "AGENT_SECRETS_CONFIG"
  },
  timeout: { type: "string", value: "SECONDS", summary: "how long to wait for the daemon (3.5)" },
  help: { type: "boolean", short: "h", summary: "show this help" },
  "no-update-check": { type: "boolean" },
  human: { type: "boolean" },
  output: { type: "string" }
} as const satisfies Flags

export const defineCommand = <const F extends Flags, R>(definition: CommandDefinition<F, R>): Command<R> => ({
  spec: definition,
  parse: (args) => {
    const parsed = parseArguments(definition, args)
    return parsed.kind === "run" ? { ...parsed, run: () => definition.run(parsed.args) } : parsed
  }
})

/** Parses the arguments after the command's name. */
export const parseArguments = <F extends Flags>(spec: CommandSpec<F>, args: ReadonlyArray<string>): ParsedArgs<F> => {
  const flags: Flags = { ...globalFlags, ...spec.flags }
  const { error, positionals, values } = readFlags(args, flags, spec.runsProgram)
  const json = values.has("json") || (error !== undefined && args.includes("--json"))
  const usage = (message: string, fix: string) =>
    ({ kind: "usage-error", json, problem: usageError(message, fix) }) as const
  if (error !== undefined) {
    return usage(error.message, error.fix ?? `See: ${["secrets", spec.name, "--help"].filter(Boolean).join(" ")}`)
  }
  if (values.has("help")) return { kind: "help", json }
  const [min, max] = spec.arity
  const count = positionals.length
  if (count < min || count > max) {
    const limit = count < min ? min : max
    const range = min === max ? `${min}` : `${count < min ? "at least" : "at most"} ${limit}`
    const noun = limit === 1 ? "argument" : "arguments"
    return usage(`expected ${range} ${noun}, got ${count}`, `Usage: ${usageOf(spec)}`)
  }
  const options = (name: string) => values.get(name) ?? []
  if (positionals[0] === "" && isName(spec.completes)) {
    return usage(`the name of a ${spec.completes} cannot be empty`, "Name it")
  }
  const empty = [...values].find(([name, given]) => given.includes("") && isName(flags[name]?.completes))
  if (empty !== undefined) return usage(`--${empty[0]} cannot be empty`, "Name it")
  const parsed = {
    positionals,
    option: (name: string) => options(name).at(-1) ?? variableOf(flags[name]),
    options,
    flag: (name: string) => values.has(name)
  }
  return { kind: "run", json, args: parsed }
}

/** Returns the value of a variable; an empty one counts as unset. */
const variableOf = (flag: Flag | undefined): string | undefined =>
  flag?.variable === undefined ? undefined : process.env[flag.variable] || undefined

/** Finds the command, whose alias is resolved, and the words before and after its name. */
export const findCommand = (
  args: ReadonlyArray<string>
): { readonly name: string | undefined; readonly rest: ReadonlyArray<string> } => {
  const at = commandIndex(args)
  const given = args[at]
  if (given === undefined) return { name: undefined, rest: args }
  const [name, ...flags] = resolveAlias(given)
  return { name, rest: [...args.slice(0, at), ...flags, ...args.slice(at + 1)] }
}

/** Returns the index of the command's name: the first word that is neither a flag nor the value of one. */
const commandIndex = (args: ReadonlyArray<string>): number => {
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? ""
    if (!word.startsWith("-")) return at
    const name = word.slice(2)
    if (flagOf(globalFlags, name)?.type === "string") at += 1
  }
  return -1
}

const flagOf = (flags: Flags, name: string | undefined): Flag | undefined =>
  name !== undefined && Object.hasOwn(flags, name) ? flags[name] : undefined

/** Returns the name of the flag that a word names, by its present or former spelling. */
const flagNamed = (flags: Flags, given: string): string | undefined =>
  Object.hasOwn(flags, given) ? given : Object.keys(flags).find((name) => flags[name]?.formerly === given)

interface FlagReading {
  /** The values of each flag that is given; none for a boolean flag. */
  readonly values: ReadonlyMap<string, ReadonlyArray<string>>
  readonly positionals: ReadonlyArray<string>
  readonly error?: { readonly message: string; readonly fix?: string | undefined }
}

/**
 * Reads GNU-style flags: --name, --name VALUE, --name=VALUE, -n, -n VALUE, -nVALUE, and `--` before the last
 * positionals. A value may begin with dashes, as a PEM key does. Errors quote a flag's name, never its value.
 */
const readFlags = (words: ReadonlyArray<string>, flags: Flags, runsProgram = false): FlagReading => {
  const values = new Map<string, ReadonlyArray<string>>()
  const positionals: Array<string> = []
  const fail = (message: string, fix?: string) => ({ values, positionals, error: { message, fix } })
  const rest = [...words]
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--" || (runsProgram && !word.startsWith("-"))) {
      positionals.push(...(word === "--" ? [] : [word]), ...rest)
      break
    }
    if (!word.startsWith("-") || word === "-") {
      positionals.push(word)
      continue
    }
    const [, long = word.slice(0, 2), inline] = /^(--[^=]*)(?:=([^]*))?$/.exec(word) ?? []
    const name = long.startsWith("--") ? flagNamed(flags, long.slice(2)) : shortNamed(flags, long.slice(1))
    const flag = flagOf(flags, name)
    if (name === undefined || flag === undefined) {
      const closest = closestMatch(
        long,
        visibleFlags(flags).map(([known]) => `--${known}`)
      )
      return fail(`unknown flag ${long}`, closest === undefined ? undefined : `Did you mean: ${closest}`)
    }
    const attached = long.startsWith("--") ? inline : word.slice(2) || undefined
    if (flag.type === "boolean") {
      if (attached !== undefined && long.startsWith("--")) return fail(`${long} takes no value`)
      // The rest of -abc is -bc.
      if (attached !== undefined) rest.unshift(`-${attached}`)
      values.set(name, [])
      continue
    }
    const value = attached ?? rest.shift()
    if (value === undefined) return fail(`${long} requires a value`)
    values.set(name, [...(values.get(name) ?? []), value])
  }
  return { values, positionals }
}

const shortNamed = (flags: Flags, letter: string): string | undefined =>
  Object.keys(flags).find((name) => flags[name]?.short === letter)

export const usageOf = (spec: CommandSpec<Flags>): string =>
  ["secrets", spec.name, ...(spec.runsProgram ? ["[flags]", spec.positionals] : [spec.positionals, "[flags]"])]
    .filter(Boolean)
    .join(" ")

export const visibleFlags = (flags: Flags): ReadonlyArray<readonly [name: string, flag: Flag]> =>
  Object.entries<Flag>(flags).filter(([, flag]) => flag.summary !== undefined)

/** Returns the visible flags of a command, global ones last. */
export const allFlags = (spec: CommandSpec<Flags>): ReadonlyArray<readonly [name: string, flag: Flag]> => [
  ...visibleFlags(spec.flags),
  ...visibleFlags(globalFlags)
]
