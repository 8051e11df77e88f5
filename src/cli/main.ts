/**
 * Chooses the command, runs it and prints what comes of it. A command is loaded when
 * it is asked for, so that a small one starts as fast as it can.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { version } from "../version.ts"
import type { Command } from "./Command.ts"
import { nameAt } from "./Command.ts"
import { commands } from "./commands.ts"
import { misuse, print, printOutput, printProblem } from "./Output.ts"

const aliases: ReadonlyMap<string, string> = new Map([["rm", "delete"]])

/** Runs a command line; gives the exit status. */
export const main = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const at = nameAt(args)
  const name = aliases.get(args[at] ?? "") ?? args[at]
  if (name === undefined || name === "help") return yield* withoutCommand(args)
  const rest = [...args.slice(0, at), ...args.slice(at + 1)]
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load === undefined) {
    const problem = misuse(`there is no command ${JSON.stringify(name)}`, "See them all: secrets --help")
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

const withoutCommand = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  if (args.includes("--version")) return print(`${version}\n`)
  const all = yield* Effect.promise(() => Promise.all(Object.values(commands).map((load) => load())))
  const width = Math.max(...all.map(({ form }) => form.name.length))
  return print(
    [
      "Keeps secrets encrypted and leases them to agents and workers.",
      "",
      "Usage: secrets COMMAND [flags]",
      "",
      ...all.map(({ form }) => `  ${form.name.padEnd(width)}  ${form.summary}`),
      "",
      "Each has its own help: secrets COMMAND --help",
      ""
    ].join("\n")
  )
})
