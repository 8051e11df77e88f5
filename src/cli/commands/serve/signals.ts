/**
 * What signals do to the daemon: SIGTERM and SIGINT end it in order, the others
 * that a process is sent by mistake do not end it, and none opens it.
 *
 * Ending in order is `runMain`'s work; this remembers why, lets further signals pass by
 * meanwhile, and sets a last limit.
 */
import { ignoreSignals } from "./ignoredSignals.ts"

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
  ignoreSignals()
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
