/**
 * The completion script of a shell, made from the definitions of the commands.
 */
import * as Effect from "effect/Effect"
import { bashScript } from "./bashScript.ts"
import type { ArgsOf, CommandSpec, Flags } from "../../command/Command.ts"
import type { completionsCommand } from "./completions.ts"
import { failUsage } from "../../command/CommandError.ts"
import { fishScript } from "./fishScript.ts"
import type { Output } from "../../command/Output.ts"
import { zshScript } from "./zshScript.ts"

const shells = new Map([
  ["bash", bashScript],
  ["zsh", zshScript],
  ["fish", fishScript]
])

export const completionScript = (allSpecs: () => Promise<ReadonlyArray<CommandSpec<Flags>>>) =>
  Effect.fnUntraced(function* (args: ArgsOf<typeof completionsCommand.flags>) {
    const [shell = ""] = args.positionals
    const make = shells.get(shell)
    if (make === undefined) return yield* failUsage("name a shell: bash, zsh or fish", "secrets completions --help")
    const text = make(yield* Effect.promise(allSpecs))
    const output: Output = { text, result: { shell, script: text } }
    return output
  })
