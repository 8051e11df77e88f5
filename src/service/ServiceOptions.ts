/**
 * The input of the service renderers, and the names of the service.
 *
 * Everything is resolved before: paths are absolute and accounts exist. The renderers
 * look nothing up.
 */

export const launchdLabel = "dev.agent-secrets.daemon"
export const serviceUnit = "dev.agent-secrets.service"
export const socketUnit = "dev.agent-secrets.socket"

export interface ServiceOptions {
  /** The path of Node; undefined for the binary. */
  readonly runtime: string | undefined
  readonly program: string
  /** The arguments of `serve`, such as `--config PATH`. */
  readonly arguments: ReadonlyArray<string>
  readonly home: string
  /** The log file under launchd; systemd has its journal. */
  readonly log: string
  /** The account of a system service; undefined for a user service. */
  readonly account: { readonly user: string; readonly group: string | undefined } | undefined
  /** The directories that the daemon writes to. All others are read-only for a systemd system service. */
  readonly writable: ReadonlyArray<string>
  /** The socket for socket activation; undefined where the daemon opens its own. */
  readonly socket: ServiceSocket | undefined
}

export interface ServiceSocket {
  readonly path: string
  /** The group that may use it besides the owner. */
  readonly group: string | undefined
}

/**
 * The Node options of every launcher: the services, bin/secrets and `npm start`, the benchmarks.
 *
 * Without the first option, Node opens a debugger on SIGUSR1 from its first millisecond on. The others keep a busy daemon
 * small. By default, V8's young generation grows to three times 16 MiB, and four threads that collect garbage compete with
 * the thread that serves.
 */
export const nodeOptions = [
  "--disable-sigusr1",
  "--v8-pool-size=1",
  "--min-semi-space-size=8",
  "--max-semi-space-size=8"
]

/** Returns the command line that the supervisor runs. `ps` shows `PROGRAM serve` in it. */
export const commandLine = ({ runtime, program, arguments: given }: ServiceOptions): ReadonlyArray<string> => [
  ...(runtime === undefined ? [] : [runtime, ...nodeOptions]),
  program,
  "serve",
  ...given
]

/** Returns the PATH of the service, which no shell profile sets: the directories of the home directory first. */
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
