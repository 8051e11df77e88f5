/**
 * What signals do to the daemon: SIGTERM and SIGINT end it in order, the others
 * that a process is sent by mistake do not end it, and none opens it.
 *
 * Node opens a debugger on SIGUSR1 unless somebody listens for it. Ending in order
 * is `runMain`'s work; this only remembers why and sets a last limit to it.
 */
import { constants } from "node:os"

/** All that would end or freeze the process and that a program may catch, but for the marks of a fault in itself. */
const survived: ReadonlyArray<NodeJS.Signals> = [
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
  "SIGTTOU"
]

/** Below the five seconds after which launchd kills. Everything at the end has a bound of its own, together less. */
const lastLimit = 4_000
/** EX_SOFTWARE of sysexits.h: something did not keep its bound. */
const overran = 70

/** Starts listening; gives a function that tells the signal that ends the daemon. */
export const watchSignals = (): (() => string) => {
  let reason = "end"
  const known = survived.filter((signal) => Object.hasOwn(constants.signals, signal))
  for (const signal of known) process.on(signal, () => undefined)
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.prependOnceListener(signal, () => {
      reason = signal
      // oxlint-disable-next-line no-restricted-globals -- must fire even if the runtime is stuck
      setTimeout(() => process.exit(overran), lastLimit).unref()
    })
  }
  // A reader of our output that goes away must not take the daemon with it.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined)
  return () => reason
}
