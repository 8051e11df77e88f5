/**
 * Asks a person a question that is answered by yes or no, on standard error. Anything but a
 * yes is a no: end of input, Ctrl-C, an empty line.
 */
import * as Effect from "effect/Effect"
import * as readline from "node:readline"
import { escapeLine } from "../../domain/escape.ts"

export interface Dialogue {
  readonly input: NodeJS.ReadableStream
  readonly output: NodeJS.WritableStream
}

const terminal = (): Dialogue => ({ input: process.stdin, output: process.stderr })

/** Returns whether the answer is a yes. Call it only where `isInteractive`. */
export const confirm = (question: string, dialogue = terminal()): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const { input, output } = dialogue
    const lines = readline.createInterface({ input, output, terminal: true })
    const finish = (answer: boolean, end: string) => {
      lines.removeAllListeners()
      lines.close()
      output.write(end)
      resume(Effect.succeed(answer))
    }
    lines.once("line", (line) => finish(/^\s*y(es)?\s*$/i.test(line), ""))
    for (const event of ["SIGINT", "close"]) lines.once(event, () => finish(false, "\n"))
    lines.setPrompt(`${escapeLine(question)} [y/N] `)
    lines.prompt()
  })
