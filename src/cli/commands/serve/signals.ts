/**
 * The daemon's signal handlers: SIGTERM and SIGINT shut it down gracefully, all other
 * signals that can be caught are ignored, and none opens a debugger.
 * `runMain` does the graceful shutdown itself.
 */
import { exitStatus } from "../../../domain/exitStatus.ts"
import { ignoreSignals } from "./ignoredSignals.ts"

/** Milliseconds: less than the 5 s after which launchd sends SIGKILL, more than all timeouts of a shutdown together. */
const shutdownTimeout = 4_000

export interface Signals {
  /** Returns the signal that stops the daemon, such as "SIGTERM". */
  readonly stopReason: () => string
  /** Sets the handler of SIGHUP, in place of the one before. */
  readonly onHangup: (run: () => void) => void
}

/** Installs the handlers for the lifetime of the process. */
export const watchSignals = (): Signals => {
  let reason: string | undefined
  let hangup: (() => void) | undefined
  process.on("SIGHUP", () => hangup?.())
  ignoreSignals()
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    // This listener stays when `runMain` removes its own; without it a second signal would kill the process.
    process.prependListener(signal, () => {
      if (reason !== undefined) return
      reason = signal
      // oxlint-disable-next-line no-restricted-globals -- must fire even if the runtime is stuck
      setTimeout(() => process.exit(exitStatus.shutdownTimedOut), shutdownTimeout).unref()
    })
  }
  // A closed standard output or error must not end the daemon.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined)
  return {
    stopReason: () => reason ?? "end",
    onHangup: (run) => void (hangup = run)
  }
}
