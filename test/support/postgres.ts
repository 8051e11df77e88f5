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
  readonly remove: () => void
}

/** Makes a cluster, and starts it. Without `durable` nothing is flushed, because no crash of the machine is tested. */
export const startCluster = (durable = false): Cluster => {
  const programs = postgresPrograms
  if (programs === undefined) throw new Error("there is no PostgreSQL server")
  const isRoot = process.getuid?.() === 0
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-pg-"))
  const data = path.join(directory, "data")
  fs.chmodSync(directory, 0o755)
  if (isRoot) fs.chownSync(directory, serverUser, serverUser)
  const options: ExecFileSyncOptions = {
    cwd: directory,
    encoding: "utf8",
    maxBuffer: 1024 * 1024 * 1024,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: `${programs}:/usr/bin:/bin`, LC_ALL: "C", HOME: directory }
  }
  const run = (program: string, args: ReadonlyArray<string>): string => {
    const file = path.join(programs, program)
    return isRoot
      ? String(
          execFileSync(
            "setpriv",
            [`--reuid=${serverUser}`, `--regid=${serverUser}`, "--clear-groups", file, ...args],
            options
          )
        )
      : String(execFileSync(file, [...args], options))
  }
  const smallLog = durable ? [] : ["--wal-segsize=1"]
  run("initdb", ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", ...smallLog])
  const settings = [
    `unix_socket_directories = '${directory}'`,
    "listen_addresses = ''",
    "max_connections = 100",
    `fsync = ${durable ? "on" : "off"}`,
    "logging_collector = off"
  ]
  fs.appendFileSync(path.join(data, "postgresql.conf"), `${settings.join("\n")}\n`)
  const start = () => void run("pg_ctl", ["-D", data, "-l", path.join(directory, "log"), "-w", "start"])
  const stop = (mode: "fast" | "immediate" = "fast") => void run("pg_ctl", ["-D", data, "-m", mode, "-w", "stop"])
  start()
  return {
    directory,
    url: (role, database = "postgres") => `postgres://${role}@localhost/${database}?host=${directory}`,
    sql: (text, database = "postgres") =>
      run("psql", [
        "-h",
        directory,
        "-U",
        "postgres",
        "-d",
        database,
        "-X",
        "-q",
        "-t",
        "-A",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        text
      ]).trimEnd(),
    start,
    stop,
    run,
    remove: () => {
      try {
        stop("immediate")
      } catch {
        // It is stopped already.
      }
      fs.rmSync(directory, { recursive: true, force: true })
    }
  }
}
