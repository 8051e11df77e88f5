/**
 * Asks a question on the terminal and reads one line, not a byte more: the program that runs next
 * has the same standard input. Call it only where `isInteractive`.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { escapeLine } from "../../domain/escape.ts"
import { systemErrorCode } from "../../domain/systemError.ts"

const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const
/** The longest line of a terminal. */
const lineBytes = 4096

/** Returns whether the answer is a yes. Anything else is a no, also an empty line and the end of input. */
export const confirm = (question: string): Effect.Effect<boolean> =>
  Effect.sync(() => isYes(askOnTerminal(`${question} [y/N] `)))

export const isYes = (line: string): boolean => /^\s*y(es)?\s*$/i.test(line)

/** Returns the line without blanks around it; empty at the end of input. A signal such as that of Ctrl-C ends the process. */
export const askOnTerminal = (question: string): string => {
  // A handler would have to wait for the line, since the read blocks. Nothing needs cleaning up yet. Before the question:
  // a Ctrl-C in answer to it would be taken by the handler and lost with it.
  const handlers = signals.map((name) => [name, process.rawListeners(name)] as const)
  for (const name of signals) process.removeAllListeners(name)
  try {
    fs.writeSync(2, escapeLine(question))
    const line = readLine()
    if (!line.endsWith("\n")) fs.writeSync(2, "\n")
    return line.trim()
  } finally {
    for (const [name, listeners] of handlers) {
      for (const listener of listeners) process.on(name, (...args) => Reflect.apply(listener, process, args))
    }
  }
}

const readLine = (): string => {
  const bytes = Buffer.alloc(lineBytes)
  try {
    return bytes.toString("utf8", 0, fs.readSync(0, bytes))
  } catch (error) {
    if (!(error instanceof Error) || systemErrorCode(error) !== "EAGAIN") return ""
    // Another program left our standard input without blocking.
    const terminal = fs.openSync("/dev/tty", fs.constants.O_RDONLY)
    try {
      return bytes.toString("utf8", 0, fs.readSync(terminal, bytes))
    } finally {
      fs.closeSync(terminal)
    }
  }
}
