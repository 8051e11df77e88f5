/**
 * A supervisor with socket activation, like systemd: it holds the listening socket and
 * restarts the daemon on it. It is a shell, which never accepts a connection itself.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { invocation } from "../harness/program.ts"

export interface Supervisor {
  readonly socket: string
  readonly directory: string
  /** The standard error of its daemons, in order. */
  readonly stderr: () => string
  /** Ends the supervisor and the running daemon; returns the exit status of every daemon but the last. */
  readonly end: () => Promise<ReadonlyArray<string>>
}

export interface SupervisorOptions {
  readonly home: string
  readonly env?: Readonly<Record<string, string>>
  readonly args?: ReadonlyArray<string>
  /** The descriptor of the socket: 3 for systemd, 0 for launchd with inetdCompatibility. */
  readonly descriptor?: 0 | 3
  /** The path of the socket; in the state directory by default. */
  readonly socket?: string
}

/** `exec` keeps the pid that the shell has in `$$`, so LISTEN_PID is that of the daemon. */
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

/** Returns the pid in daemon.json; undefined without the file. */
export const runningPid = (directory: string): number | undefined => {
  const file = path.join(directory, "daemon.json")
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")).pid : undefined
}

/** Passes a listening socket to a child. Node would accept connections, so it closes its own handle but keeps the file. */
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
