/**
 * Notifies systemd (sd_notify) of the start and the stop, and feeds its watchdog.
 *
 * Node has no datagram Unix sockets, so `systemd-notify` sends the messages, and the unit
 * needs `NotifyAccess=all`. Each watchdog message follows a request over the daemon's own
 * socket, so a daemon that hangs is restarted. Without NOTIFY_SOCKET nothing runs.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as childProcess from "node:child_process"
import { promisify } from "node:util"
import { absoluteEntries } from "../../domain/paths.ts"
import type { Supervision } from "../../domain/supervision.ts"

export interface Notifications {
  readonly supervision: Supervision
  /** The PATH that is searched first for `systemd-notify`. */
  readonly searchPath: string | undefined
  /** Sends a request to the daemon; fails with the reason if there is no reply in time. */
  readonly probe: (timeout: Duration.Duration) => Effect.Effect<void, string>
}

/** A systemd that hangs must not block the daemon. */
const maxTimeout = 5_000

/** How often a starting daemon is probed. */
const readyInterval = Duration.millis(100)

/** Notifies forever; `systemctl status` shows `status`. */
export const notifySupervisor = Effect.fn("notifySupervisor")(function* (notifications: Notifications, status: string) {
  const { probe, supervision } = notifications
  if (supervision.notifySocket === undefined) return yield* Effect.never
  const timeout = Duration.millis(Math.min(maxTimeout, (supervision.watchdogMillis ?? Infinity) / 4))
  yield* Effect.ignore(Effect.retry(probe(timeout), Schedule.spaced(readyInterval)))
  yield* notify(notifications, ["READY=1", `STATUS=${status}`]).pipe(
    Effect.catch((reason) =>
      Effect.logError(
        `cannot notify systemd that the daemon is ready: ${reason}. Set Type=exec and no WatchdogSec= in the unit`
      )
    )
  )
  if (supervision.watchdogMillis === undefined) return yield* Effect.never
  // Half of the interval, as sd_watchdog_enabled(3) recommends.
  return yield* Effect.forever(
    Effect.andThen(
      Effect.sleep(supervision.watchdogMillis / 2),
      Effect.andThen(probe(timeout), notify(notifications, ["WATCHDOG=1"])).pipe(
        Effect.catch((reason) => Effect.logError(`cannot notify the watchdog of systemd: ${reason}`))
      )
    )
  )
})

/** Notifies without waiting, so that it does not delay the stop. */
export const notifyStopping = (notifications: Notifications, reason: string): Effect.Effect<void> =>
  Effect.sync(() => {
    if (notifications.supervision.notifySocket === undefined) return
    childProcess
      .spawn("systemd-notify", ["STOPPING=1", `STATUS=stopping (${reason})`], {
        env: environmentOf(notifications),
        stdio: "ignore"
      })
      .on("error", () => undefined)
      .unref()
  })

const notify = (notifications: Notifications, lines: ReadonlyArray<string>): Effect.Effect<void, string> =>
  Effect.tryPromise({
    try: () =>
      execFile("systemd-notify", [...lines], {
        env: environmentOf(notifications),
        timeout: maxTimeout,
        killSignal: "SIGKILL"
      }),
    catch: (cause) => `systemd-notify: ${cause instanceof Error ? cause.message : String(cause)}`
  }).pipe(Effect.asVoid)

const environmentOf = ({ searchPath, supervision }: Notifications) => ({
  PATH: searchPath === undefined ? defaultPath : `${absoluteEntries(searchPath)}:${defaultPath}`,
  NOTIFY_SOCKET: supervision.notifySocket
})

const defaultPath = "/usr/bin:/bin"

const execFile = promisify(childProcess.execFile)
