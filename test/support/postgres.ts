/**
 * A PostgreSQL cluster of its own, in a temporary directory and on a Unix socket there.
 *
 * The server does not run as root: then it runs as another user, to whom the directory belongs.
 */
import { execFileSync, type ExecFileSyncOptions } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

/** Where distributions put the programs of the server. */
const findPrograms = (): string | undefined => {
  const debian = "/usr/lib/postgresql"
  const versions = fs.existsSync(debian) ? fs.readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)) : []
  const places = [
    process.env["AGENT_SECRETS_POSTGRES"] ?? "",
    ...versions.map((version) => path.join(debian, version, "bin")),
    ...(process.env["PATH"] ?? "").split(":")
  ]
  return places.find((place) => place !== "" && fs.existsSync(path.join(place, "initdb")))
}

/** Undefined where there is no server to test with. */
export const postgresPrograms = findPrograms()

/** The user that the server runs as, where this process is root: nobody, because it has to have a name. */
const serverUser = 65_534

export interface Cluster {
  readonly directory: string
  /** The URL of a database on it for a role. */
  readonly url: (role: string, database?: string) => string
  /** Runs SQL as the superuser, and returns what it prints. */
  readonly sql: (text: string, database?: string) => string
  readonly start: () => void
  readonly stop: (mode?: "fast" | "immediate") => void
  /** Runs a program of the server. */
  readonly run: (program: string, args: ReadonlyArray<string>) => string
  /** Makes a standby, which reaches this server through the Unix socket in a directory; returns it, started. */
  readonly follow: (through: string) => Cluster
  /** Stops it at once, if it runs. */
  readonly kill: () => void
  readonly remove: () => void
}

export interface ClusterOptions {
  /** Lines of postgresql.conf and, before its own, of pg_hba.conf. */
  readonly settings?: ReadonlyArray<string>
  readonly access?: ReadonlyArray<string>
  /** Is called with the directory of the data before it is filled. */
  readonly prepare?: (data: string) => void
  /** What the programs of the server are started by: `ip netns exec NAME`. */
  readonly within?: ReadonlyArray<string>
}

/** Makes a cluster, and starts it. Without `durable` nothing is flushed, because no crash of the machine is tested. */
export const startCluster = (durable = false, given: ClusterOptions = {}): Cluster => {
  const cluster = clusterIn(makeDirectory(), given.within)
  const data = path.join(cluster.directory, "data")
  fs.mkdirSync(data)
  given.prepare?.(data)
  own(data)
  const smallLog = durable ? [] : ["--wal-segsize=1"]
  cluster.run("initdb", ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", ...smallLog])
  addLines(data, [
    ...settingsOf(cluster.directory),
    `fsync = ${durable ? "on" : "off"}`,
    "max_connections = 100",
    ...(given.settings ?? [])
  ])
  const access = path.join(data, "pg_hba.conf")
  fs.writeFileSync(access, `${(given.access ?? []).join("\n")}\n${fs.readFileSync(access, "utf8")}`)
  cluster.start()
  return cluster
}

/** A server that runs as root is refused: then the directory belongs to another user. */
const isRoot = process.getuid?.() === 0
const own = (file: string): void => void (isRoot && fs.chownSync(file, serverUser, serverUser))

const makeDirectory = (): string => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-pg-"))
  fs.chmodSync(directory, 0o755)
  own(directory)
  return directory
}

const settingsOf = (directory: string) => [
  `unix_socket_directories = '${directory}'`,
  "listen_addresses = ''",
  "logging_collector = off"
]

const addLines = (data: string, lines: ReadonlyArray<string>): void =>
  fs.appendFileSync(path.join(data, "postgresql.conf"), `${lines.join("\n")}\n`)

const clusterIn = (directory: string, within: ReadonlyArray<string> = []): Cluster => {
  const programs = postgresPrograms
  if (programs === undefined) throw new Error("there is no PostgreSQL server")
  const data = path.join(directory, "data")
  const options: ExecFileSyncOptions = {
    cwd: directory,
    encoding: "utf8",
    maxBuffer: 1024 * 1024 * 1024,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: `${programs}:/usr/sbin:/usr/bin:/sbin:/bin`, LC_ALL: "C", HOME: directory }
  }
  const asServer = isRoot ? ["setpriv", `--reuid=${serverUser}`, `--regid=${serverUser}`, "--clear-groups"] : []
  const run = (program: string, args: ReadonlyArray<string>): string => {
    const [command = "", ...rest] = [...within, ...asServer, path.join(programs, program), ...args]
    return String(execFileSync(command, rest, options))
  }
  const start = () => void run("pg_ctl", ["-D", data, "-l", path.join(directory, "log"), "-w", "start"])
  const stop = (mode: "fast" | "immediate" = "fast") => void run("pg_ctl", ["-D", data, "-m", mode, "-w", "stop"])
  const kill = () => {
    try {
      stop("immediate")
    } catch {
      // It is stopped already.
    }
  }
  const asked = ["-U", "postgres", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1"]
  return {
    directory,
    url: (role, database = "postgres") => `postgres://${role}@localhost/${database}?host=${directory}`,
    sql: (text, database = "postgres") =>
      run("psql", ["-h", directory, "-d", database, ...asked, "-c", text]).trimEnd(),
    start,
    stop,
    run,
    follow: (through) => {
      const standby = clusterIn(makeDirectory(), within)
      const copy = path.join(standby.directory, "data")
      run("pg_basebackup", ["-h", directory, "-U", "postgres", "-D", copy, "-X", "stream", "--no-sync", "-c", "fast"])
      fs.writeFileSync(path.join(copy, "standby.signal"), "")
      own(path.join(copy, "standby.signal"))
      const from = `host=${through} user=postgres application_name=standby`
      addLines(copy, [...settingsOf(standby.directory), `primary_conninfo = '${from}'`])
      standby.start()
      return standby
    },
    kill,
    remove: () => {
      kill()
      fs.rmSync(directory, { recursive: true, force: true })
    }
  }
}
