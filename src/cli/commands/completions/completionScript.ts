/**
 * The completion script of a shell, made from the definitions of the commands.
 */
import * as Effect from "effect/Effect"
import { bashScript } from "./bashScript.ts"
import type { LineOf } from "../../command/Command.ts"
import type { completions } from "./completions.ts"
import { misuse } from "../../command/Failure.ts"
import { fishScript } from "./fishScript.ts"
import type { Output } from "../../command/Output.ts"
import { allForms } from "../../command/forms.ts"
import { zshScript } from "./zshScript.ts"

const shells = new Map([
  ["bash", bashScript],
  ["zsh", zshScript],
  ["fish", fishScript]
])

export const completionScript = Effect.fnUntraced(function* (line: LineOf<typeof completions.flags>) {
  const [shell = ""] = line.operands
  const make = shells.get(shell)
  if (make === undefined) return yield* misuse("name a shell: bash, zsh or fish", "secrets completions --help")
  const text = make(yield* Effect.promise(allForms))
  const output: Output = { text, result: { shell, script: text } }
  return output
})
