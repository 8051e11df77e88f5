/**
 * Asks one question on the terminal and reads one line, not a byte more: the program that runs
 * next has the same standard input.
 */
import * as fs from "node:fs"
import { escapeLine } from "../../../domain/escape.ts"
import { reasonOf } from "../../command/Output.ts"

const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const
/** The longest line of a terminal. */
const lineBytes = 4096

/** Returns the line without blanks around it; empty at the end of input. Ctrl-C ends the process. */
export const askOnTerminal = (question: string): string => {
  fs.writeSync(2, escapeLine(question))
  // A handler would have to wait for the line, since the read blocks. Nothing needs cleaning up yet.
  const handlers = signals.map((name) => [name, process.rawListeners(name)] as const)
  for (const name of signals) process.removeAllListeners(name)
  try {
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
    if (reasonOf(error) !== "EAGAIN") return ""
    // Another program left our standard input without blocking.
    const terminal = fs.openSync("/dev/tty", fs.constants.O_RDONLY)
    try {
      return bytes.toString("utf8", 0, fs.readSync(terminal, bytes))
    } finally {
      fs.closeSync(terminal)
    }
  }
}
