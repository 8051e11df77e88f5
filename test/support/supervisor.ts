/**
 * A supervisor as systemd is one: it holds the listening socket and starts the daemon
 * on it again and again. It is a shell, which never takes a connection itself.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { invocation } from "../harness/program.ts"

export interface Supervisor {
  readonly socket: string
  readonly directory: string
  /** What its daemons said, one after the other. */
  readonly stderr: () => string
  /** Ends it, then the daemon that runs; gives the exit status of each daemon there was, the last one aside. */
  readonly end: () => Promise<ReadonlyArray<string>>
}

export interface SupervisorOptions {
  readonly home: string
  readonly env?: Readonly<Record<string, string>>
  readonly args?: ReadonlyArray<string>
  /** As which descriptor it hands the socket over: systemd's, or the one of launchd's inetdCompatibility. */
  readonly descriptor?: 0 | 3
  /** Where it listens; in the state directory unless it says otherwise. */
  readonly socket?: string
}

/** The shell has its own pid in `$$`, and keeps it when it becomes the daemon: so systemd does it as well. */
const loop = (descriptor: 0 | 3) => `
while :; do
  ${descriptor === 0 ? '"$@" --listen-fd 0' : `LISTEN_FDS=1 LISTEN_FDNAMES=socket sh -c 'LISTEN_PID=$$ exec "$@"' sh "$@"`}
  echo "exit status $?" >&2
  [ -e "$HOME/enough" ] && exit
done`

export const supervise = async (options: SupervisorOptions): Promise<Supervisor> => {
  const { args = [], descriptor = 3, env = {}, home } = options
  const directory = path.join(home, ".agent-secrets")
  const socket = options.socket ?? path.join(directory, "agent-secrets.sock")
  fs.mkdirSync(path.dirname(socket), { mode: 0o700 })
  const child = await withListener(socket, (listener) =>
    spawn("/bin/sh", ["-c", loop(descriptor), "sh", ...invocation, "serve", "--socket", socket, ...args], {
      env: { HOME: home, PATH: "/usr/bin:/bin", ...env },
      stdio: descriptor === 0 ? [listener, "ignore", "pipe"] : ["ignore", "ignore", "pipe", listener]
    })
  )
  let stderr = ""
  child.stderr?.on("data", (piece) => (stderr += piece))
  const ended = new Promise((resolve) => child.once("close", resolve))
  return {
    socket,
    directory,
    stderr: () => stderr,
    end: async () => {
      fs.writeFileSync(path.join(home, "enough"), "")
      const daemon = runningPid(directory)
      if (daemon === undefined) child.kill("SIGKILL")
      else process.kill(daemon, "SIGTERM")
      await ended
      return [...stderr.matchAll(/^exit status (\d+)$/gm)].map(([, status = ""]) => status)
    }
  }
}

/** The daemon that serves now; undefined where none says so. */
export const runningPid = (directory: string): number | undefined => {
  const file = path.join(directory, "daemon.json")
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")).pid : undefined
}

/** Node accepts on what it listens on; so it lets go as soon as the child has it, and leaves the file there. */
const withListener = (socket: string, start: (listener: number) => ChildProcess): Promise<ChildProcess> =>
  new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once("error", reject)
    const mask = process.umask(0o177)
    server.listen(socket, () => {
      const child = start((server as any)._handle.fd)
      const aside = `${socket}.held`
      fs.renameSync(socket, aside)
      server.close()
      fs.renameSync(aside, socket)
      resolve(child)
    })
    process.umask(mask)
  })
