/**
 * Tells systemd how things go: ready when the daemon answers, alive as long as it
 * does, stopping when it stops.
 *
 * Node has no datagram Unix sockets, so `systemd-notify`, which is part of systemd,
 * says it: seven milliseconds of work each time, hence `NotifyAccess=all` in the unit.
 * Before each sign of life the daemon is asked something over its own socket; one
 * that is frozen, or does not answer, sends none and is replaced. Without
 * NOTIFY_SOCKET nothing is run.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as childProcess from "node:child_process"
import { promisify } from "node:util"
import type { Supervision } from "../../domain/supervision.ts"

export interface Notifications {
  readonly supervision: Supervision
  /** Where `systemd-notify` is looked for first. */
  readonly searchPath: string | undefined
  /** Fails with the reason if the daemon does not answer within the time. */
  readonly probe: (within: Duration.Duration) => Effect.Effect<void, string>
}

/** systemd answers within microseconds; one that hangs holds up nothing of ours. */
const deadline = 5_000

/** How soon a start that does not answer yet is asked again. */
const untilReady = Duration.millis(100)

/** Runs for ever. `status` is what `systemctl status` shows. */
export const notifySupervisor = Effect.fnUntraced(function* (notifications: Notifications, status: string) {
  const { probe, supervision } = notifications
  if (supervision.notifySocket === undefined) return yield* Effect.never
  const patience = Duration.millis(Math.min(deadline, (supervision.watchdogMillis ?? Infinity) / 4))
  yield* Effect.ignore(Effect.retry(probe(patience), Schedule.spaced(untilReady)))
  yield* notify(notifications, ["READY=1", `STATUS=${status}`]).pipe(
    Effect.catch((reason) =>
      Effect.logError(
        `systemd is not told that the daemon serves: ${reason}. Give the unit Type=exec and no WatchdogSec=`
      )
    )
  )
  if (supervision.watchdogMillis === undefined) return yield* Effect.never
  // Half of the time, as sd_watchdog_enabled(3) has it: one that comes late is no harm.
  return yield* Effect.forever(
    Effect.andThen(
      Effect.sleep(supervision.watchdogMillis / 2),
      Effect.andThen(probe(patience), notify(notifications, ["WATCHDOG=1"])).pipe(
        Effect.catch((reason) => Effect.logError(`no sign of life for the watchdog of systemd: ${reason}`))
      )
    )
  )
})

/** Not waited for: the end of a daemon has better things to do. */
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
        timeout: deadline,
        killSignal: "SIGKILL"
      }),
    catch: (cause) => `systemd-notify: ${cause instanceof Error ? cause.message : String(cause)}`
  }).pipe(Effect.asVoid)

const environmentOf = ({ searchPath, supervision }: Notifications) => ({
  PATH: searchPath === undefined ? defaultPath : `${searchPath}:${defaultPath}`,
  NOTIFY_SOCKET: supervision.notifySocket
})

const defaultPath = "/usr/bin:/bin"

const execFile = promisify(childProcess.execFile)
