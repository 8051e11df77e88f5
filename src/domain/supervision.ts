/**
 * The environment variables of systemd's socket activation, readiness notification and
 * watchdog: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3). Pure. Variables meant
 * for another process are ignored; child processes must not inherit any of them.
 */
import * as Result from "effect/Result"

export interface Supervision {
  /** The descriptors of the activated sockets; none if the daemon listens by itself. */
  readonly listeners: ReadonlyArray<number>
  /** The notification socket: a path, or an abstract name that begins with `@`. */
  readonly notifySocket: string | undefined
  /** The watchdog timeout, in milliseconds. */
  readonly watchdogMillis: number | undefined
}

/** Rotation commands and joelclaw must not inherit these: they would take them for their own. */
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
/** SD_LISTEN_FDS_START. */
const firstDescriptor = 3

/** Reads the environment. `given` is the descriptor of `--listen-fd`, which takes precedence. */
export const readSupervision = (
  environment: Environment,
  pid: number,
  given: string | undefined
): Result.Result<Supervision, string> =>
  Result.map(given === undefined ? activatedDescriptors(environment, pid) : parseDescriptor(given), (listeners) => ({
    listeners,
    notifySocket: environment["NOTIFY_SOCKET"] || undefined,
    watchdogMillis: watchdogMillis(environment, pid)
  }))

/** More than any settings have; the daemon compares each with the sockets of its settings. */
const maxDescriptors = 64

const activatedDescriptors = (environment: Environment, pid: number): Result.Result<ReadonlyArray<number>, string> => {
  if (environment["LISTEN_PID"] !== String(pid)) return Result.succeed([])
  const count = wholeNumber(environment["LISTEN_FDS"]) ?? 0
  return count < 1 || count > maxDescriptors
    ? Result.fail(`the supervisor passed ${count === 0 ? "no" : count} sockets (LISTEN_FDS)`)
    : Result.succeed(Array.from({ length: count }, (_, n) => firstDescriptor + n))
}

const parseDescriptor = (given: string): Result.Result<ReadonlyArray<number>, string> => {
  const descriptor = wholeNumber(given)
  return descriptor === undefined || descriptor === 1 || descriptor === 2
    ? Result.fail(`--listen-fd must be the descriptor of a listening socket: ${given.slice(0, 20)}`)
    : Result.succeed([descriptor])
}

const watchdogMillis = (environment: Environment, pid: number): number | undefined => {
  const owner = environment["WATCHDOG_PID"]
  if (owner !== undefined && owner !== String(pid)) return undefined
  const micros = wholeNumber(environment["WATCHDOG_USEC"])
  return micros === undefined || micros === 0 ? undefined : micros / 1000
}

const wholeNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
