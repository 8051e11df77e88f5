/**
 * What `add` and `update` take alike: a value, and a command that rotates it.
 */
import * as Effect from "effect/Effect"
import type { Flags, Args } from "../../command/Command.ts"
import { failUsage } from "../../command/CommandError.ts"
import { readFileValue, readValue } from "./readValue.ts"

export const secretFlags = {
  value: { type: "string", value: "VALUE", summary: "the value; others can see it in the list of processes" },
  file: { type: "string", value: "PATH", summary: "the file that holds the value", completes: "file" },
  "rotate-via": { type: "string", value: "COMMAND", summary: "the command that rotates the secret" },
  "rotate-stdout": { type: "boolean", summary: "what that command prints becomes the new value" }
} as const satisfies Flags

type SecretArgs = Pick<Args<typeof secretFlags>, "option" | "flag">

/** Refuses `--rotate-stdout` without a command; to be asked before a value is. */
export const checkRotationFlags = (args: SecretArgs) =>
  args.flag("rotate-stdout") && !args.option("rotate-via")
    ? Effect.fail(failUsage("--rotate-stdout needs a command", "Give it with --rotate-via COMMAND"))
    : Effect.void

/** The value from the line, a file, a pipe or a prompt; never empty. */
export const valueFromArgs = Effect.fnUntraced(function* (args: SecretArgs, name: string) {
  const [given, file] = [args.option("value"), args.option("file")]
  if (given !== undefined && file !== undefined) {
    return yield* failUsage("--value and --file are two values", "Give one of them")
  }
  const value = given ?? (yield* file === undefined ? readValue(name) : readFileValue(file))
  if (value === "") return yield* failUsage("the value of a secret cannot be empty", "Give it on standard input")
  return value
})
