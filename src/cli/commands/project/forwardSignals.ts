/**
 * Which signals the program of `exec` gets from us, and which ones stay ignored for it.
 *
 * All that a process can catch are forwarded, except for faults (SIGSEGV, SIGTRAP and the
 * like) and those about ourselves (SIGCHLD, SIGPIPE, SIGXFSZ). With a terminal, the kernel
 * sends the signals of its keys to the whole foreground group, so these are not sent twice.
 */
import * as fs from "node:fs"
import { constants } from "node:os"
import { ignoredVariable } from "../../../process/keepIgnoredSignals.ts"

/** `isSent`: the terminal has sent it to the program too. */
type SignalHandler = (name: NodeJS.Signals, isSent: boolean) => void

/** Forwarded with a terminal too. */
const always = [
  "SIGTERM",
  "SIGHUP",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGVTALRM",
  "SIGPROF",
  "SIGURG",
  "SIGIO",
  "SIGPWR",
  "SIGXCPU",
  "SIGSYS",
  "SIGABRT",
  "SIGSTKFLT"
] as const
/** The keys of a terminal. Our own default would end us before the program. */
const interrupts = ["SIGINT", "SIGQUIT"] as const
const withoutTerminal = ["SIGCONT", "SIGWINCH", "SIGINFO"] as const

/** Replaces the handlers of all signals, for the rest of our life. */
export const forwardSignals = (onTerminal: boolean, forward: SignalHandler): void => {
  for (const name of always) handle(name, (signal) => forward(signal, false))
  for (const name of interrupts) handle(name, (signal) => forward(signal, onTerminal && isInForeground()))
  process.removeAllListeners("SIGTSTP")
  if (onTerminal) return
  for (const name of withoutTerminal) handle(name, (signal) => forward(signal, false))
  // SIGTSTP does nothing in an orphaned process group, so SIGSTOP is sent instead.
  process.on("SIGTSTP", () => {
    forward("SIGSTOP", false)
    process.kill(process.pid, "SIGSTOP")
  })
}

const handle = (name: NodeJS.Signals, handler: (name: NodeJS.Signals) => void): void => {
  process.removeAllListeners(name)
  try {
    process.on(name, handler)
  } catch {
    // This system has no such signal.
  }
}

/**
 * Returns whether the keys of the terminal reach us. Without /proc it is assumed: a second ^C could make a program give
 * up its cleanup.
 */
const isInForeground = (): boolean => {
  try {
    return isForegroundGroup(fs.readFileSync("/proc/self/stat", "utf8"))
  } catch {
    return true
  }
}

/** Returns whether a process, by its line of proc_pid_stat(5), is in the foreground group of its terminal. */
export const isForegroundGroup = (stat: string): boolean => {
  // The fields after the name, which may hold anything: state, parent, group, session, terminal, its foreground group.
  const [, , group, , , foreground] = stat.replace(/^.*\) /s, "").split(" ")
  return group === foreground
}

/** Returns the signals that we were started to ignore, as far as that is known, and ignores them. */
export const takeIgnoredSignals = (): ReadonlyArray<NodeJS.Signals> => {
  const words = process.env[ignoredVariable]?.split(" ") ?? []
  delete process.env[ignoredVariable]
  const ignored = words.map((word) => `SIG${word}`).filter(isSignal)
  for (const name of ignored) handle(name, () => undefined)
  return ignored
}

const isSignal = (name: string): name is NodeJS.Signals => Object.hasOwn(constants.signals, name)

/** Returns a command line that ignores these signals and becomes the program: `spawn` resets them. */
export const ignoring = (
  signals: ReadonlyArray<NodeJS.Signals>,
  line: readonly [command: string, ...args: ReadonlyArray<string>]
): readonly [command: string, ...args: ReadonlyArray<string>] => {
  if (signals.length === 0) return line
  const names = signals.map((name) => name.slice("SIG".length)).join(" ")
  return ["/bin/sh", "-c", `trap '' ${names}; exec "$@"`, "sh", ...line]
}
