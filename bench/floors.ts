/**
 * Lower bounds of the daemon's times, on the same file system: an append with fdatasync, and
 * a line to a server and back. The third is a server on `node:net` alone. It writes what an
 * acquire writes, with group commit and hash chain, but without checks or leases.
 *
 * Each runs in a process of its own, as the daemon does.
 */
import { spawn } from "node:child_process"
import { createHash, randomUUID } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { quantile } from "../test/harness/quantile.ts"
import { temporaryHome } from "../test/support/temporary.ts"

export interface Appends {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
}

const startProcess = (args: ReadonlyArray<string>) =>
  spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], { stdio: ["ignore", "pipe", "inherit"] })

/** Measures appends of so many bytes with one fdatasync each. */
export const rawAppends = async (bytes: number, seconds: number): Promise<Appends> => {
  const home = temporaryHome()
  const child = startProcess(["append", path.join(home, "log"), String(bytes), String(seconds)])
  let printed = ""
  child.stdout.on("data", (piece: Buffer) => (printed += piece.toString()))
  await once(child, "close")
  fs.rmSync(home, { recursive: true, force: true })
  return JSON.parse(printed)
}

/** Provides the socket of a server: "echo" sends each line back, "bare" answers acquires. */
export const withServer = async <A>(kind: "echo" | "bare", use: (socket: string) => Promise<A>): Promise<A> => {
  const home = temporaryHome()
  const socket = path.join(home, "socket")
  const child = startProcess([kind, socket, path.join(home, "log")])
  try {
    await once(child.stdout, "data")
    return await use(socket)
  } finally {
    child.kill("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

const append = (file: string, bytes: number, seconds: number): void => {
  const fd = fs.openSync(file, "a")
  const data = Buffer.alloc(bytes, "x")
  const waits: Array<number> = []
  const until = performance.now() + seconds * 1000
  for (let now = performance.now(); now < until;) {
    fs.writeSync(fd, data)
    fs.fdatasyncSync(fd)
    const then = performance.now()
    waits.push(then - now)
    now = then
  }
  process.stdout.write(
    JSON.stringify({ perSecond: waits.length / seconds, p50: quantile(waits, 0.5), p99: quantile(waits, 0.99) })
  )
}

const listen = (socket: string, onLine: (line: string, connection: net.Socket) => void): void => {
  const server = net.createServer((connection) => {
    let rest = ""
    connection.on("error", () => undefined)
    connection.on("data", (piece) => {
      const lines = (rest + piece.toString("utf8")).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) onLine(line, connection)
    })
  })
  server.listen(socket, () => process.stdout.write("listens\n"))
}

/** Flushes once for all requests that arrived during the last flush. */
const serveBare = (socket: string, file: string): void => {
  const fd = fs.openSync(file, "a")
  let waiting: Array<{ readonly params: { readonly secret_name: string }; readonly connection: net.Socket }> = []
  let flushing = false
  let previous = ""
  let seq = 0
  const entry = (members: object): string => {
    const line = `${JSON.stringify({ timestamp: new Date().toISOString(), ...members, seq: (seq += 1), prev: previous })}\n`
    previous = createHash("sha256").update(line).digest("hex")
    return line
  }
  const flush = () => {
    flushing = true
    const group = waiting
    waiting = []
    let text = ""
    const replies = group.map(({ params }) => {
      const lease = randomUUID()
      const expires = new Date(Date.now() + 3_600_000).toISOString()
      text += entry({
        action: "lease_replace",
        ...params,
        lease_id: lease,
        details: `replaced by ${lease}, TTL: 1h0m0s`
      })
      text += entry({
        action: "lease_acquire",
        ...params,
        lease_id: lease,
        details: "TTL: 1h0m0s",
        expires_at: expires
      })
      const result = { lease_id: lease, value: params.secret_name, expires_at: expires }
      return `${JSON.stringify({ jsonrpc: "2.0", result, id: 1 })}\n`
    })
    fs.writeSync(fd, text)
    fs.fdatasync(fd, () => {
      for (const [at, { connection }] of group.entries()) connection.write(replies[at] ?? "")
      if (waiting.length > 0) flush()
      else flushing = false
    })
  }
  listen(socket, (line, connection) => {
    waiting.push({ params: JSON.parse(line).params, connection })
    if (!flushing) flush()
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [kind, first = "", second = "", third = ""] = process.argv.slice(2)
  if (kind === "append") append(first, Number(second), Number(third))
  else if (kind === "echo") listen(first, (line, connection) => void connection.write(`${line}\n`))
  else serveBare(first, second)
}
