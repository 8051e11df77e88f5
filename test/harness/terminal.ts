/**
 * Runs the built program in a pseudo-terminal, as a person does, with script(1).
 */
import { spawn } from "node:child_process"
import { shellWords } from "./program.ts"

export interface TerminalEnd {
  readonly status: number | null
  /** Standard output and error, as the terminal shows them. */
  readonly shown: string
}

/** Types the answer when a question is shown. `words` are quoted for a shell. */
export const runInTerminal = (words: string, home: string, answer = "", cwd = home): Promise<TerminalEnd> => {
  const line = `${shellWords} ${words}`
  const args = process.platform === "darwin" ? ["-q", "/dev/null", "sh", "-c", line] : ["-qec", line, "/dev/null"]
  const child = spawn("script", args, { cwd, env: { HOME: home, PATH: "/usr/bin:/bin", TERM: "dumb" } })
  let [shown, answered] = ["", false]
  child.stdout.on("data", (piece) => {
    shown += piece
    if (answered || !/\[y\/(a\/)?N\] /.test(shown)) return
    answered = true
    child.stdin.write(answer)
  })
  return new Promise((resolve) => child.once("close", (status) => resolve({ status, shown })))
}
