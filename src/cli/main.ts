/**
 * Chooses the command, runs it and prints what comes of it. A command is loaded when
 * it is asked for, so that a small one starts as fast as it can.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { version } from "../version.ts"
import type { Command } from "./Command.ts"
import { nameAt, read } from "./Command.ts"
import { commands } from "./commands.ts"
import { nearest } from "../domain/nearest.ts"
import { misuse, print, printOutput, printProblem } from "./Output.ts"
import { allForms, overviewText, overviewTree } from "./overview.ts"

const aliases: ReadonlyMap<string, string> = new Map([["rm", "delete"]])

/** Runs a command line; gives the exit status. */
export const main = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const at = nameAt(args)
  const given = args[at]
  const rest = [...args.slice(0, at), ...args.slice(at + 1)]
  if (given === undefined) return yield* withoutCommand(args)
  if (given === "help") return yield* help(rest)
  return yield* run(given, rest)
})

const run = Effect.fnUntraced(function* (given: string, rest: ReadonlyArray<string>) {
  const name = aliases.get(given) ?? given
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load === undefined) {
    const meant = nearest(name, [...Object.keys(commands), "help"])
    const fix = meant === undefined ? "See them all: secrets --help" : `Did you mean: secrets ${meant}`
    const problem = misuse(`there is no command ${JSON.stringify(name)}`, fix)
    return printProblem(name, rest.includes("--json"), problem)
  }
  const command: Command<never> = yield* Effect.promise(load)
  const parsed = command.parse(rest)
  if (parsed.wants === "help") return print(parsed.text)
  if (parsed.wants === "correction") return printProblem(name, parsed.json, parsed.problem)
  const exit = yield* Effect.result(parsed.run)
  return Result.isFailure(exit)
    ? printProblem(name, parsed.json, exit.failure)
    : printOutput(name, parsed.json, exit.success)
})

/** `secrets help COMMAND` is `secrets COMMAND --help`. */
const help = Effect.fnUntraced(function* (rest: ReadonlyArray<string>) {
  const at = nameAt(rest)
  const name = rest[at]
  return yield* name === undefined || name === "help" ? withoutCommand(rest) : run(name, ["--help"])
})

const withoutCommand = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const reading = read(program, args)
  if (reading.wants === "correction") return printProblem("", reading.json, reading.problem)
  const json = reading.wants === "run" && reading.json
  if (reading.wants === "run" && reading.line.given("version")) {
    return printOutput("", json, { text: `${version}\n`, result: { version } })
  }
  const forms = yield* Effect.promise(allForms)
  return printOutput("", json, { text: overviewText(forms), result: overviewTree(forms) })
})

/** The program without a command. */
const program = {
  name: "",
  summary: "",
  arity: [0, 0],
  flags: { version: { type: "boolean" } },
  examples: []
} as const
