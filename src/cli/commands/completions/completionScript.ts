/**
 * Generates the completion script of a shell from the specs of all commands.
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
    const generate = shells.get(shell)
    if (generate === undefined)
      return yield* failUsage("expected bash, zsh or fish", "For example: secrets completions bash")
    const script = generate(yield* Effect.promise(allSpecs))
    const output: Output = { verbatim: script, result: { shell, script } }
    return output
  })
