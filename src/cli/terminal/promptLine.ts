/**
 * Asks for one line on a terminal. The question is asked again after a stop, such as ^Z and
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
 * input. `echo` shows what is typed; without it, a line that the end of input cuts off is not taken.
 */
export const promptLine = (
  question: string,
  { input, output }: Dialogue,
  echo: boolean
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.callback<ReadonlyArray<string>>((resume) => {
    let reading = false
    const finish = (entered: ReadonlyArray<string>) => {
      if (!reading) return
      stop()
      if (!echo || entered.length === 0) output.write("\n")
      resume(Effect.succeed(entered))
    }
    const onKey = (_text: string | undefined, { ctrl, name }: readline.Key) => {
      if (ctrl === true && name === "z") signals.suspend()
    }
    const enter = () => {
      reading = true
      input.on("keypress", onKey)
      reader = openReader(input, echo ? output : undefined, finish)
      reader.setPrompt(echo ? question : "")
      reader.prompt()
      if (!echo) output.write(question)
    }
    const leave = () => {
      reading = false
      input.off("keypress", onKey)
      reader?.removeAllListeners()
      // The terminal may be gone.
      reader?.on("error", () => undefined).close()
    }
    let reader: readline.Interface | undefined
    const signals = handleTerminalSignals({ enter, leave })
    const stop = () => {
      leave()
      signals.release()
    }
    enter()
    return Effect.sync(stop)
  })

/** Opens a reader, which sets the mode of the terminal. `finish` gets the lines. */
const openReader = (
  input: NodeJS.ReadableStream,
  echoTo: NodeJS.WritableStream | undefined,
  finish: (entered: ReadonlyArray<string>) => void
): readline.Interface => {
  const noEcho = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = readline.createInterface({ input, output: echoTo ?? noEcho, terminal: true })
  const lines: Array<string> = []
  reader.on("line", (line) => {
    // All lines of a paste arrive in one chunk, before the microtask runs.
    if (lines.push(line) === 1) queueMicrotask(() => finish(reader.line === "" ? lines : [...lines, reader.line]))
  })
  for (const event of ["SIGINT", "error"]) reader.once(event, () => finish([]))
  reader.once("close", () => finish(echoTo === undefined ? [] : lines))
  // Without a listener it would stop the process by itself.
  reader.on("SIGTSTP", () => undefined)
  return reader
}
