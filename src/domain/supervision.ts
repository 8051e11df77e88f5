/**
 * What a supervisor tells the process it starts, as systemd does: which descriptor
 * is the listening socket, where to tell it how things go, how often it wants to hear.
 *
 * A pure reading of the environment. What is meant for another process is not for
 * this one; none of it is for the processes we start. Sources: sd_listen_fds(3),
 * sd_notify(3), sd_watchdog_enabled(3).
 */
import * as Result from "effect/Result"

export interface Supervision {
  /** The descriptor of the socket that the supervisor listens on for us; undefined if we listen by ourselves. */
  readonly listener: number | undefined
  /** Where it hears how things go: a path, or an abstract name that begins with `@`. */
  readonly notifySocket: string | undefined
  /** It takes us for hung when it has not heard of us for so long, in milliseconds. */
  readonly watchdogMillis: number | undefined
}

export const unsupervised: Supervision = { listener: undefined, notifySocket: undefined, watchdogMillis: undefined }

/** What is not to reach a rotation command or joelclaw: they would take it for their own. */
export const supervisionVariables: ReadonlyArray<string> = [
  "LISTEN_PID",
  "LISTEN_PIDFDID",
  "LISTEN_FDS",
  "LISTEN_FDNAMES",
  "NOTIFY_SOCKET",
  "WATCHDOG_PID",
  "WATCHDOG_USEC"
]

type Environment = Readonly<Record<string, string | undefined>>

/** The first descriptor that is handed over, behind standard input, output and error. */
const firstDescriptor = 3

/** `given` is a descriptor that was named on the command line. Fails with what is wrong, in words. */
export const readSupervision = (
  environment: Environment,
  pid: number,
  given: string | undefined
): Result.Result<Supervision, string> =>
  Result.map(given === undefined ? handedOver(environment, pid) : named(given), (listener) => ({
    listener,
    notifySocket: environment["NOTIFY_SOCKET"] || undefined,
    watchdogMillis: watchdogMillis(environment, pid)
  }))

const handedOver = (environment: Environment, pid: number): Result.Result<number | undefined, string> => {
  if (environment["LISTEN_PID"] !== String(pid)) return Result.succeed(undefined)
  const count = wholeNumber(environment["LISTEN_FDS"])
  if (count === 1) return Result.succeed(firstDescriptor)
  // Nobody would ever be answered on the others.
  return Result.fail(
    `the supervisor hands over ${count ?? "an unreadable number of"} sockets (LISTEN_FDS), and the daemon serves exactly one`
  )
}

const named = (given: string): Result.Result<number, string> => {
  const descriptor = wholeNumber(given)
  return descriptor === undefined || descriptor === 1 || descriptor === 2
    ? Result.fail(`--listen-fd names no descriptor that can be a listening socket: ${given.slice(0, 20)}`)
    : Result.succeed(descriptor)
}

const watchdogMillis = (environment: Environment, pid: number): number | undefined => {
  const owner = environment["WATCHDOG_PID"]
  if (owner !== undefined && owner !== String(pid)) return undefined
  const micros = wholeNumber(environment["WATCHDOG_USEC"])
  return micros === undefined || micros === 0 ? undefined : micros / 1000
}

const wholeNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
