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
    let isAsking = false
    let reader: readline.Interface | undefined
    const shown = new Writable({
      write: (chunk, _encoding, done) => {
        if (echo && isAsking) output.write(chunk)
        done()
      }
    })
    const finish = (entered: ReadonlyArray<string>) => {
      if (!isAsking) return
      stop()
      if (!echo || entered.length === 0) output.write("\n")
      resume(Effect.succeed(entered))
    }
    const onKey = (_text: string | undefined, { ctrl, name }: readline.Key) => {
      if (ctrl === true && name === "z") signals.suspend()
    }
    const enter = () => {
      isAsking = true
      input.on("keypress", onKey)
      reader = openReader(input, shown, (lines, isCut) => finish(isCut && !echo ? [] : lines))
      reader.setPrompt(question)
      reader.prompt()
      if (!echo) output.write(question)
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

/** Opens a reader, which sets the mode of the terminal. `finish` gets the lines, and whether the end of input cut them off. */
const openReader = (
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  finish: (lines: ReadonlyArray<string>, isCut: boolean) => void
): readline.Interface => {
  const reader = readline.createInterface({ input, output, terminal: true })
  const lines: Array<string> = []
  reader.on("line", (line) => {
    // All lines of a paste arrive in one chunk, before the microtask runs.
    if (lines.push(line) === 1)
      queueMicrotask(() => finish(reader.line === "" ? lines : [...lines, reader.line], false))
  })
  reader.on("SIGINT", () => finish([], true))
  // The terminal is gone.
  reader.on("error", () => finish([], true))
  reader.on("close", () => finish(lines, true))
  // Without a listener it would stop the process by itself.
  reader.on("SIGTSTP", () => undefined)
  return reader
}
