/**
 * The daemon's signal handlers: SIGTERM and SIGINT shut it down gracefully, all other
 * signals that can be caught are ignored, and none opens a debugger.
 * `runMain` does the graceful shutdown itself.
 *
 * A daemon that logs to a terminal ends when the terminal closes. One that nohup or a
 * redirection took away from it lives on.
 */
import { isatty } from "node:tty"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { hasControllingTerminal } from "../../../process/controllingTerminal.ts"
import { ignoreSignals } from "./ignoredSignals.ts"

/** Milliseconds: less than the 5 s after which launchd sends SIGKILL, more than all timeouts of a shutdown together. */
const shutdownTimeout = 4_000

/** Milliseconds: a terminal may close a moment after its signal. */
const hangupDelay = 500

export interface Signals {
  /** Returns the signal that stops the daemon, such as "SIGTERM". */
  readonly stopReason: () => string
  /** Sets the handler of SIGHUP, in place of the one before. */
  readonly onHangup: (run: () => void) => void
}

/** Installs the handlers for the lifetime of the process. */
export const watchSignals = (): Signals => {
  let reason: string | undefined
  const { hangup, onHangup } = keepHangup()
  const stopFor = (why: string) => {
    if (reason !== undefined) return
    reason = why
    // oxlint-disable-next-line no-restricted-globals -- must fire even if the runtime is stuck
    setTimeout(() => process.exit(exitStatus.shutdownTimedOut), shutdownTimeout).unref()
  }
  const isTerminalOpen = watchTerminal()
  process.on("SIGHUP", () => {
    hangup()
    // oxlint-disable-next-line no-restricted-globals -- the runtime may not run yet
    setTimeout(() => {
      if (isTerminalOpen()) return
      stopFor("its terminal was closed")
      process.kill(process.pid, "SIGTERM")
    }, hangupDelay).unref()
  })
  ignoreSignals()
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    // This listener stays when `runMain` removes its own; without it a second signal would kill the process.
    process.prependListener(signal, () => stopFor(signal))
  }
  // A closed standard output or error must not end the daemon.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined)
  return {
    stopReason: () => reason ?? "end",
    onHangup
  }
}

/** Returns what a SIGHUP calls, and what sets its handler. One that came before the first handler is not lost. */
export const keepHangup = () => {
  let handler: (() => void) | undefined
  let isWaiting = false
  return {
    hangup: (): void => {
      if (handler === undefined) isWaiting = true
      else handler()
    },
    onHangup: (run: () => void): void => {
      handler = run
      if (isWaiting) run()
      isWaiting = false
    }
  }
}

/** Returns a function that checks whether the terminal of the log is still there; it is, if the log goes elsewhere. */
const watchTerminal = (): (() => boolean) => {
  const outputs = [1, 2].filter((fd) => isatty(fd))
  const isControlled = hasControllingTerminal()
  return () => outputs.every((fd) => isatty(fd)) && (outputs.length === 0 || !isControlled || hasControllingTerminal())
}
