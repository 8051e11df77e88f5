/**
 * What a service of launchd or systemd is made from, and what it is called.
 *
 * Everything in it is settled before: paths are absolute, names are those of accounts
 * that exist. The renderers turn it into text and look nothing up.
 */

/** What launchd knows it by. */
export const launchdLabel = "dev.agent-secrets.daemon"
export const serviceUnit = "dev.agent-secrets.service"
export const socketUnit = "dev.agent-secrets.socket"

export interface ServiceOptions {
  /** The Node that runs the program; undefined where the program runs by itself. */
  readonly runtime: string | undefined
  readonly program: string
  /** What `serve` is given, such as `--config PATH`. */
  readonly arguments: ReadonlyArray<string>
  readonly home: string
  /** Where launchd writes what the daemon says; systemd has its journal. */
  readonly log: string
  /** Whom it runs as, where it is a service of the system and not of the user who logs in. */
  readonly account: ServiceAccount | undefined
  /** The directories the daemon writes in; for a systemd service of the system, the others are read-only. */
  readonly writable: ReadonlyArray<string>
  /** The socket, where the supervisor is to open it and keep it. */
  readonly socket: ServiceSocket | undefined
}

export interface ServiceAccount {
  readonly user: string
  readonly group: string | undefined
}

export interface ServiceSocket {
  readonly path: string
  /** The group that may use it beside the owner. */
  readonly group: string | undefined
}

/** A file of a service, whole. */
export interface ServiceFile {
  readonly path: string
  readonly text: string
}

/**
 * What every launcher gives Node: the services, bin/secrets and `npm start`, the benchmarks.
 *
 * Without the first option, Node opens a debugger on SIGUSR1 from its first millisecond on. The others keep a busy daemon
 * small: V8 lets the young generation grow to three times 16 MiB, and collects with four threads, which take the
 * processors from the thread that serves.
 */
export const nodeOptions = [
  "--disable-sigusr1",
  "--v8-pool-size=1",
  "--min-semi-space-size=8",
  "--max-semi-space-size=8"
]

/** The command line that a supervisor runs; what shows of it in `ps` has `PROGRAM serve` in it. */
export const commandLine = ({ runtime, program, arguments: given }: ServiceOptions): ReadonlyArray<string> => [
  ...(runtime === undefined ? [] : [runtime, ...nodeOptions]),
  program,
  "serve",
  ...given
]

/** A service has no shell whose profile sets it: the usual places, those of the home directory first. */
export const searchPath = (home: string, others: ReadonlyArray<string> = []): string =>
  [
    `${home}/.local/bin`,
    `${home}/.bun/bin`,
    ...others,
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
    "/usr/sbin",
    "/sbin"
  ].join(":")
