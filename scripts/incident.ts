/**
 * The incident of 2026-02-22, replayed: a worker that leases 56 secrets for 24
 * hours and is started 47 times. The predecessor held 2,632 leases afterwards.
 *
 * Real processes and real files in a directory of their own; `tell` hears what is
 * done. The worker is this file, run by itself with the path of a socket.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

export const secretCount = 56
export const startCount = 47

/** What is left after the replay. */
export interface Aftermath {
  readonly activeLeases: number
  readonly leasesInFile: number
  readonly replaced: number
  readonly acquired: number
  readonly predecessorWouldHold: number
  /** How each receiver of events is doing, before the daemon stops. */
  readonly sinks: ReadonlyArray<Sink>
}

export interface Sink {
  readonly kind: string
  readonly sent: number
  readonly dropped: number
  readonly queued: number
}

const program = fileURLToPath(new URL("../dist/secrets.mjs", import.meta.url))

/** `receivers` are variables that tell the daemon where its events go. */
export const replayIncident = async (
  tell: (line: string) => void,
  receivers: Readonly<Record<string, string>> = {}
): Promise<Aftermath> => {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-incident-"))
  const socket = path.join(home, ".agent-secrets", "agent-secrets.sock")
  let daemon: ChildProcess | undefined
  try {
    tell(`a state directory of its own: ${home}`)
    daemon = spawn(process.execPath, [program, "serve"], {
      env: { HOME: home, PATH: "/usr/bin:/bin", ...receivers },
      stdio: ["ignore", "ignore", "pipe"]
    })
    await serving(daemon)
    tell(`the daemon serves, process ${daemon.pid}`)
    await asking(socket, async (ask) => {
      for (let n = 1; n <= secretCount; n += 1) {
        await ask("secrets.add", { name: `secret_${n}`, value: `made-up value ${n}` })
      }
    })
    tell(`${secretCount} secrets added`)
    for (let start = 1; start <= startCount; start += 1) {
      const worker = spawn(process.execPath, [fileURLToPath(import.meta.url), socket], { stdio: "inherit" })
      const [status] = await once(worker, "exit")
      if (status !== 0) throw new Error(`the worker ended with status ${status} at start ${start}`)
      if (start % 10 === 0 || start === startCount) tell(`the worker was started ${start} times`)
    }
    const { active_leases: activeLeases } = await asking(socket, (ask) => ask("secrets.status", {}))
    const { sinks } = await asking(socket, (ask) => ask("daemon.status", {}))
    daemon.kill("SIGTERM")
    await once(daemon, "exit")
    daemon = undefined
    tell("the daemon stopped in order")
    const actions = fs
      .readFileSync(path.join(home, ".agent-secrets", "audit.log"), "utf8")
      .split("\n")
      .map((line) => /"action":"(\w+)"/.exec(line)?.[1])
    return {
      activeLeases,
      leasesInFile: JSON.parse(fs.readFileSync(path.join(home, ".agent-secrets", "leases.json"), "utf8")).length,
      replaced: actions.filter((action) => action === "lease_replace").length,
      acquired: actions.filter((action) => action === "lease_acquire").length,
      predecessorWouldHold: secretCount * startCount,
      sinks
    }
  } finally {
    daemon?.kill("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

/** Waits until the daemon says that it serves. */
const serving = async (daemon: ChildProcess): Promise<void> => {
  if (daemon.stderr === null) throw new Error("the daemon has no standard error")
  for await (const line of createInterface({ input: daemon.stderr })) {
    if (line.includes(" serves ")) {
      daemon.stderr.resume()
      return
    }
  }
  throw new Error("the daemon did not start")
}

type Ask = (method: string, params: object) => Promise<any>

/** Opens a connection for a while; every answer must be a result. */
const asking = async <A>(socketPath: string, use: (ask: Ask) => Promise<A>): Promise<A> => {
  const socket = net.connect(socketPath)
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  try {
    return await use(async (method, params) => {
      socket.write(`${JSON.stringify({ jsonrpc: "2.0", method, params, id: 1 })}\n`)
      const reply = JSON.parse((await lines.next()).value ?? "null")
      if (reply?.result === undefined) throw new Error(`${method} was refused: ${JSON.stringify(reply?.error)}`)
      return reply.result
    })
  } finally {
    socket.destroy()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await asking(process.argv[2] ?? "", async (ask) => {
    for (let n = 1; n <= secretCount; n += 1) {
      await ask("secrets.lease", { secret_name: `secret_${n}`, client_id: "worker", ttl: "24h" })
    }
  })
}
