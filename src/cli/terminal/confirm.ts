/**
 * Asks a person a question that is answered by yes or no, on standard error. Anything but a
 * yes is a no: end of input, Ctrl-C, an empty line.
 */
import * as Effect from "effect/Effect"
import { escapeLine } from "../../domain/escape.ts"
import { type Dialogue, promptLine } from "./promptLine.ts"

const terminal = (): Dialogue => ({ input: process.stdin, output: process.stderr })

/** Returns whether the answer is a yes. Call it only where `isInteractive`. */
export const confirm = (question: string, dialogue = terminal()): Effect.Effect<boolean> =>
  Effect.map(promptLine(`${escapeLine(question)} [y/N] `, dialogue, true), ([line = ""]) =>
    /^\s*y(es)?\s*$/i.test(line)
  )
