/**
 * Asks for one line on a terminal, which does not show what is typed. The question is asked again after a stop, such as ^Z and
 * `fg`; what was typed before is dropped, as a terminal does. The terminal is restored however
 * the question ends.
 */
import * as Effect from "effect/Effect"
import * as readline from "node:readline"
import { Writable } from "node:stream"
import { handleTerminalSignals } from "./terminalSignals.ts"

export interface Dialogue {
  readonly input: NodeJS.ReadableStream
  readonly output: NodeJS.WritableStream
}

/**
 * Returns the lines that were entered: several if more were pasted, none if it was cancelled by Ctrl-C or the end of
 * input. A line that the end of input cuts off is not taken.
 */
export const promptLine = (question: string, { input, output }: Dialogue): Effect.Effect<ReadonlyArray<string>> =>
  Effect.callback<ReadonlyArray<string>>((resume) => {
    let isAsking = false
    let reader: readline.Interface | undefined
    const finish = (entered: ReadonlyArray<string>) => {
      if (!isAsking) return
      stop()
      output.write("\n")
      resume(Effect.succeed(entered))
    }
    const onKey = (_text: string | undefined, { ctrl, name }: readline.Key) => {
      if (ctrl === true && name === "z") signals.suspend()
    }
    const enter = () => {
      isAsking = true
      input.on("keypress", onKey)
      reader = openReader(input, finish)
      output.write(question)
    }
    const leave = () => {
      isAsking = false
      input.off("keypress", onKey)
      reader?.close()
    }
    const signals = handleTerminalSignals({ enter, leave })
    const stop = () => {
      leave()
      signals.release()
    }
    enter()
    return Effect.sync(stop)
  })

/** Opens a reader, which sets the mode of the terminal. */
const openReader = (
  input: NodeJS.ReadableStream,
  finish: (lines: ReadonlyArray<string>) => void
): readline.Interface => {
  const output = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = readline.createInterface({ input, output, terminal: true })
  const lines: Array<string> = []
  reader.on("line", (line) => {
    // All lines of a paste arrive in one chunk, before the microtask runs.
    if (lines.push(line) === 1) queueMicrotask(() => finish(reader.line === "" ? lines : [...lines, reader.line]))
  })
  reader.on("SIGINT", () => finish([]))
  // The terminal is gone.
  reader.on("error", () => finish([]))
  reader.on("close", () => finish([]))
  // Without a listener it would stop the process by itself.
  reader.on("SIGTSTP", () => undefined)
  return reader
}
