/**
 * A load generator: some connections on plain `node:net`, each with one request in flight.
 * `runLoad` starts it as a process of its own, so that its cost is not the daemon's. It prints
 * the answers per second and the latencies as JSON.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { quantile } from "../test/harness/quantile.ts"

export interface Load {
  readonly socket: string
  readonly connections: number
  /** Ends after so many seconds, or after so many answers; one of them is given. */
  readonly seconds?: number
  readonly answers?: number
  /** The number of first answers that do not count. */
  readonly warmUp?: number
  /** "mix" is 70 % acquire, 20 % status, 10 % revoke. */
  readonly kind: "acquire" | "mix" | "status"
  /** The number of pairs of secret and client; every pair has its own client. */
  readonly pairs: number
  /** "sequence" takes the pairs in order; otherwise they are random. */
  readonly order?: "sequence"
  /** What the names of the clients begin with. */
  readonly clients?: string
  /** An hour by default. */
  readonly ttl?: string
  /** Whether each request has a connection of its own, as those of a command; its wait begins before that. */
  readonly fresh?: boolean
  /** The pause between an answer and the next request. */
  readonly pauseMillis?: number
}

export interface Outcome {
  readonly answers: number
  readonly seconds: number
  readonly perSecond: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
  /** The number of waits over ten milliseconds. */
  readonly long: number
}

/** The secrets of the pairs; the daemon must have them. */
export const secretNames: ReadonlyArray<string> = Array.from({ length: 10 }, (_, at) => `secret_${at}`)

/** Runs a load in a process of its own and returns its outcome. */
export const runLoad = async (load: Load): Promise<Outcome> => {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(load)], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  let printed = ""
  child.stdout.on("data", (piece: Buffer) => (printed += piece.toString()))
  const [status] = await once(child, "close")
  if (status !== 0) throw new Error(`the load ended with ${status}`)
  return JSON.parse(printed)
}

const line = (method: string, params: object): string =>
  `${JSON.stringify({ jsonrpc: "2.0", method, params, id: 1 })}\n`

const generate = async (load: Load): Promise<Outcome> => {
  const { connections, kind, pairs } = load
  const warmUp = load.warmUp ?? 0
  const waits: Array<number> = []
  let asked = 0
  let answered = 0
  let state = 12_345
  const random = () => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32

  const acquire = (at: number) =>
    line("secrets.lease", {
      secret_name: secretNames[at % secretNames.length],
      client_id: `${load.clients ?? "client"}-${at}`,
      ttl: load.ttl ?? "1h"
    })
  const nextPair = () => (load.order === "sequence" ? asked++ % pairs : Math.floor(random() * pairs))
  const request = (held: Array<string>): string => {
    if (kind === "status") return line("secrets.status", {})
    if (kind === "acquire") return acquire(nextPair())
    const dice = random()
    if (dice < 0.2) return line("secrets.status", {})
    const lease = dice < 0.3 ? held.pop() : undefined
    return lease === undefined ? acquire(nextPair()) : line("secrets.revoke", { lease_id: lease })
  }

  let begun = performance.now()
  const isOver = () =>
    load.seconds === undefined
      ? answered >= warmUp + (load.answers ?? 0)
      : answered >= warmUp && performance.now() >= begun + load.seconds * 1000

  const connect = (): Promise<void> =>
    new Promise<void>((resolve, reject) => {
      const begunAt = performance.now()
      const socket = net.connect(load.socket)
      const held: Array<string> = []
      let from = 0
      let rest = ""
      const ask = () => {
        const text = request(held)
        from = load.fresh === true ? begunAt : performance.now()
        socket.write(text)
      }
      socket.on("connect", ask)
      socket.on("error", reject)
      socket.on("close", () => reject(new Error("the connection was closed")))
      socket.on("data", (piece) => {
        const now = performance.now()
        rest += piece.toString("latin1")
        if (!rest.endsWith("\n")) return
        if (rest.startsWith('{"jsonrpc":"2.0","error"') && kind !== "mix") return reject(new Error(rest))
        if (kind === "mix") {
          const lease = /"lease_id":"([^"]+)"/.exec(rest)?.[1]
          if (lease !== undefined) held.push(lease)
        }
        rest = ""
        answered += 1
        if (answered === warmUp) begun = now
        if (answered > warmUp) waits.push(now - from)
        if (isOver() || load.fresh === true) {
          socket.removeAllListeners("close")
          socket.on("error", () => undefined)
          socket.destroy()
          return resolve(isOver() ? undefined : connect())
        }
        if (load.pauseMillis === undefined) ask()
        else setTimeout(ask, load.pauseMillis)
      })
    })

  await Promise.all(Array.from({ length: connections }, connect))
  const seconds = (performance.now() - begun) / 1000
  return {
    answers: waits.length,
    seconds,
    perSecond: waits.length / seconds,
    p50: quantile(waits, 0.5),
    p90: quantile(waits, 0.9),
    p99: quantile(waits, 0.99),
    max: quantile(waits, 1),
    long: waits.filter((wait) => wait > 10).length
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const outcome = await generate(JSON.parse(process.argv[2] ?? "{}"))
  process.stdout.write(JSON.stringify(outcome))
}
