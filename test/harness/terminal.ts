/**
 * Runs programs in a pseudo-terminal, as a person does, with script(1).
 */
import { spawn } from "node:child_process"
import { commandVariables, shellWords } from "./program.ts"

export interface TerminalEnd {
  readonly status: number | null
  /** Standard output and error, as the terminal shows them. */
  readonly shown: string
}

export interface OpenTerminal {
  readonly type: (text: string) => void
  /** Waits until the terminal has shown a text so many times; throws if the program ends first. */
  readonly shows: (text: string | RegExp, times?: number) => Promise<string>
  /** Closes the terminal, as its window does. */
  readonly close: () => void
  readonly ended: Promise<TerminalEnd>
}

/** Opens a terminal that runs a line of a shell. */
export const openTerminal = (line: string, home: string, cwd = home): OpenTerminal => {
  const args = process.platform === "darwin" ? ["-q", "/dev/null", "sh", "-c", line] : ["-qec", line, "/dev/null"]
  const env = {
    HOME: home,
    PATH: "/usr/bin:/bin",
    TERM: "dumb",
    PS1: "ready> ",
    ...commandVariables(line.split(/\W+/))
  }
  const child = spawn("script", args, { cwd, env })
  let shown = ""
  const waiting = new Set<() => void>()
  child.stdout.on("data", (piece) => {
    shown += piece
    for (const check of waiting) check()
  })
  const ended = new Promise<TerminalEnd>((resolve) => child.once("close", (status) => resolve({ status, shown })))
  const shows = async (text: string | RegExp, times = 1) => {
    const seen = () => shown.split(text).length > times
    const found = new Promise<boolean>((resolve) => {
      const check = () => {
        if (seen() && waiting.delete(check)) resolve(true)
      }
      waiting.add(check)
      check()
    })
    if (await Promise.race([found, ended.then(seen)])) return shown
    throw new Error(`the terminal never showed ${String(text)}: ${shown}`)
  }
  return { type: (text) => void child.stdin.write(text), shows, close: () => void child.kill("SIGKILL"), ended }
}

/** Runs the built program; types the answer when a question is shown. `words` are quoted for a shell. */
export const runInTerminal = async (words: string, home: string, answer = "", cwd = home): Promise<TerminalEnd> => {
  const terminal = openTerminal(`${shellWords} ${words}`, home, cwd)
  terminal.shows(/\[y\/(?:a\/)?N\] /).then(
    () => terminal.type(answer),
    () => undefined
  )
  return await terminal.ended
}
