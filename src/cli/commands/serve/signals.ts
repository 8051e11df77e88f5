/**
 * What signals do to the daemon: SIGTERM and SIGINT end it in order, the others
 * that a process is sent by mistake do not end it, and none opens it.
 *
 * Node opens a debugger on SIGUSR1 unless somebody listens for it; scripts/build.ts
 * has the built program listen from its first statement on. Ending in order is
 * `runMain`'s work; this remembers why, lets further signals pass by meanwhile, and
 * sets a last limit. It imports nothing of ours, so that the build can read it.
 */
import { constants } from "node:os"

/**
 * All that would end or freeze the process and that a program may catch, but for SIGILL, SIGBUS, SIGFPE and SIGSEGV:
 * to catch those turns a fault of our own into a process that neither ends nor answers. `abort` works all the same.
 */
export const ignoredSignals: ReadonlyArray<NodeJS.Signals> = [
  "SIGUSR1",
  "SIGUSR2",
  "SIGHUP",
  "SIGPIPE",
  "SIGQUIT",
  "SIGALRM",
  "SIGVTALRM",
  "SIGPROF",
  "SIGXCPU",
  "SIGIO",
  "SIGPWR",
  "SIGSTKFLT",
  "SIGTRAP",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGABRT",
  "SIGSYS"
]

/** Below the five seconds after which launchd kills. Everything at the end has a bound of its own, together less. */
const lastLimit = 4_000
/** EX_SOFTWARE of sysexits.h: something did not keep its bound. */
const overran = 70

export interface Signals {
  /** Tells the signal that ends the daemon, such as "SIGTERM". */
  readonly stopReason: () => string
  /** Has something done at each SIGHUP from now on, and nothing any more that was to be done before. */
  readonly onHangup: (run: () => void) => void
}

/** Starts listening, for as long as the process lives. */
export const watchSignals = (): Signals => {
  let reason: string | undefined
  let hangup: (() => void) | undefined
  process.on("SIGHUP", () => hangup?.())
  const known = ignoredSignals.filter((signal) => Object.hasOwn(constants.signals, signal))
  for (const signal of known) process.on(signal, () => undefined)
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    // It stays when `runMain` has taken its own away, or a second signal would kill the process as it ends.
    process.prependListener(signal, () => {
      if (reason !== undefined) return
      reason = signal
      // oxlint-disable-next-line no-restricted-globals -- must fire even if the runtime is stuck
      setTimeout(() => process.exit(overran), lastLimit).unref()
    })
  }
  // A reader of our output that goes away must not take the daemon with it.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined)
  return {
    stopReason: () => reason ?? "end",
    onHangup: (run) => void (hangup = run)
  }
}
