/**
 * Runs a command and prints what comes of it. It is loaded when it is asked for, so
 * that a small one starts as fast as it can.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Command } from "./command/Command.ts"
import { commandIndex } from "./command/Command.ts"
import { loaderOf, resolveAlias } from "./commands.ts"
import { print, printOutput, printProblem } from "./command/Output.ts"

/** Runs a command line that names a command; gives the exit status. */
export const runCommand = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const at = commandIndex(args)
  const name = resolveAlias(args[at] ?? "")
  const load = loaderOf(name)
  if (load === undefined) return yield* Effect.die(`there is no command ${JSON.stringify(name)}`)
  const command: Command<never> = yield* Effect.promise(load)
  const parsed = command.parse([...args.slice(0, at), ...args.slice(at + 1)])
  if (parsed.kind === "help") return print(parsed.text)
  if (parsed.kind === "usage-error") return printProblem(name, parsed.json, parsed.problem)
  const exit = yield* Effect.result(parsed.run)
  return Result.isFailure(exit)
    ? printProblem(name, parsed.json, exit.failure)
    : printOutput(name, parsed.json, exit.success)
})
