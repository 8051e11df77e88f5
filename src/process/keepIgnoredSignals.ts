/**
 * The signals that this process was started to ignore, kept in a variable for the program of
 * `exec`, before any handler replaces them.
 *
 * Node resets them before it runs any code, so `bin/secrets` sets the variable. Bun, which runs
 * the binary, leaves them, and Linux shows them.
 */
import { readFileSync } from "node:fs"
import { constants } from "node:os"

/** Names without SIG, separated by spaces. */
export const ignoredVariable = "AGENT_SECRETS_IGNORED_SIGNALS"

/** Sets the variable if no launcher did and the signals can be seen. */
export const keepIgnoredSignals = (): void => {
  if (process.versions["bun"] === undefined || process.env[ignoredVariable] !== undefined) return
  try {
    process.env[ignoredVariable] = ignoredIn(readFileSync("/proc/self/status", "utf8")).join(" ")
  } catch {
    // Not Linux, or /proc is not mounted.
  }
}

/** As in bin/secrets, without SIGPIPE, which the runtime ignores itself. */
const kept = ["HUP", "INT", "QUIT", "ALRM", "TERM", "USR1", "USR2", "TSTP", "TTIN", "TTOU"] as const

/** Returns the names of the ignored signals in the text of proc_pid_status(5). */
export const ignoredIn = (status: string): ReadonlyArray<string> => {
  const mask = BigInt(`0x${/^SigIgn:\s*(\w+)/m.exec(status)?.[1] ?? "0"}`)
  return kept.filter((name) => ((mask >> BigInt(constants.signals[`SIG${name}`] - 1)) & 1n) === 1n)
}
