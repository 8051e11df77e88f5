/**
 * Abusive clients, one kind after the other, beside an honest one. Measures the honest
 * client's latency and the daemon's memory, and checks that the daemon answers afterwards.
 * An undisturbed daemon is asked in turns with the abused one, so that a busy machine delays
 * both alike. Both have served for a second before: until V8 has compiled the code, each request
 * takes twice as long. CLIENTS=idle,flood chooses some kinds.
 */
import * as Effect from "effect/Effect"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { answers, Connection } from "../harness/connection.ts"
import { connect, rpc, type RunningDaemon, startDaemon } from "../harness/daemon.ts"
import { pause } from "../harness/program.ts"
import { quantile } from "../harness/quantile.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"
import { abusiveClients } from "./abusiveClients.ts"

/** The promises: the honest client's p99 in milliseconds, or in times of the undisturbed one, and the memory in MiB. */
const maxWait = 50
const maxRatio = 8
const maxMemory = 640

export const scenario: Scenario = {
  promise: `p99 of others below ${maxWait} ms or ${maxRatio} times an undisturbed one, below ${maxMemory} MiB, alive afterwards`,
  rounds: 600,
  run: async (options) => {
    const chosen = process.env["CLIENTS"]?.split(",") ?? ["none", ...Object.keys(abusiveClients), "files"]
    const rows: Array<Row> = []
    for (const name of chosen) {
      const row = await Effect.runPromise(Effect.scoped(measure(name, options)))
      options.log(`${row.what}: ${row.stats ?? ""}${row.failed > 0 ? `, FAILED ${row.failed}` : ""}`)
      rows.push(row)
    }
    return rows
  }
}

const measure = Effect.fnUntraced(function* (name: string, { rounds }: ScenarioOptions) {
  const home = yield* temporaryDirectory
  const few = name === "files"
  const daemon = yield* startDaemon(few ? { home, through: 'ulimit -n 256; exec "$@"' } : { home })
  const undisturbed = yield* startDaemon({ home: yield* temporaryDirectory })
  for (const { socket } of [daemon, undisturbed]) {
    yield* rpc(socket, "add", { name: "honest", value: "made-up" })
    yield* Effect.promise(() => warmUp(socket))
  }
  // Holding a large value takes memory, so only the clients that use it get one.
  if (["large", "values"].includes(name)) {
    yield* rpc(daemon.socket, "add", { name: "large", value: "x".repeat(1024 * 1024) })
  }
  const abuse = few ? { what: "idle connections where there are 256 files", size: 400 } : abusiveClients[name]
  const [kept, beside] = [yield* connect(daemon.socket), yield* connect(undisturbed.socket)]
  const stop =
    abuse === undefined ? () => undefined : yield* Effect.promise(() => begin(few ? "idle" : name, daemon, abuse.size))
  const [honest, other] = [new Honest(daemon.socket, kept), new Honest(undisturbed.socket, beside)]
  for (let asked = 0; asked < rounds; asked += 1) {
    for (const one of [honest, other]) yield* Effect.promise(() => one.lease(asked % 2 === 1))
    yield* Effect.sleep("5 millis")
  }
  const memory = peakMemory(daemon.pid)
  stop()
  const alive = yield* Effect.promise(() => recovers(daemon.socket))
  const { refused } = honest
  const [onKept, onNew, calmKept, calmNew] = [honest.kept, honest.fresh, other.kept, other.fresh].map(latency)
  const isSlow = (here: Latency | undefined, there: Latency | undefined) =>
    (here?.p99 ?? 0) > Math.max(maxWait, maxRatio * (there?.p99 ?? 0))
  const failed = [
    !alive,
    isSlow(onKept, calmKept),
    !few && isSlow(onNew, calmNew),
    memory > maxMemory,
    refused > (few ? rounds / 2 : 0)
  ].filter((isBroken) => isBroken).length
  return {
    what: abuse === undefined ? "no other client" : `${abuse.size} × ${abuse.what}`,
    tried: rounds,
    failed,
    stats: `kept ${onKept?.text} ms, new ${onNew?.text} ms (p50/p99/max; undisturbed ${calmKept?.text}, ${calmNew?.text}), ${memory} MiB${refused > 0 ? `, ${refused} refused` : ""}${alive ? "" : ", DEAD"}`
  } satisfies Row
})

/** Starts the abusive clients and returns a function that kills them. */
const begin = async (name: string, daemon: RunningDaemon, size: number): Promise<() => void> => {
  const script = path.join(import.meta.dirname, "abusiveClients.ts")
  const child = spawn(process.execPath, [script, name, daemon.socket, String(size)], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  await Promise.race([once(child.stdout, "data"), pause(3_000)])
  return () => void child.kill("SIGKILL")
}

const leaseLine = JSON.stringify({
  method: "secrets.lease",
  params: { secret_name: "honest", client_id: "honest" },
  id: 1
})

/** Acquires a thousand times on new connections, eight at once. */
const warmUp = async (socket: string): Promise<void> => {
  const client = async () => {
    for (let n = 0; n < 125; n += 1) {
      const connection = new Connection(socket)
      await connection.ask(leaseLine)
      connection.socket.destroy()
    }
  }
  await Promise.all(Array.from({ length: 8 }, client))
}

/** A client that acquires on a connection that it keeps, or on a new one, and measures its waits. */
class Honest {
  readonly kept: Array<number> = []
  readonly fresh: Array<number> = []
  refused = 0
  private readonly socket: string
  private connection: Connection

  constructor(socket: string, connection: Connection) {
    this.socket = socket
    this.connection = connection
  }

  async lease(isFresh: boolean): Promise<void> {
    const begun = performance.now()
    const used = isFresh ? new Connection(this.socket) : this.connection
    const reply = (await Promise.race([used.ask(leaseLine), pause(10_000)])) ?? ""
    const granted = reply.includes('"value":"made-up"')
    if (granted) (isFresh ? this.fresh : this.kept).push(performance.now() - begun)
    else this.refused += 1
    if (isFresh || !granted) used.socket.destroy()
    if (!isFresh && !granted) this.connection = new Connection(this.socket)
  }
}

/** Whether the daemon answers within some seconds after the abuse. */
const recovers = async (socket: string): Promise<boolean> => {
  for (let tries = 0; tries < 100; tries += 1) {
    if (await answers(socket)) return true
    await pause(100)
  }
  return false
}

/** Returns the peak memory in MiB, or the current one without /proc. */
const peakMemory = (pid: number): number => {
  const status = `/proc/${pid}/status`
  const kibibytes = fs.existsSync(status)
    ? /VmHWM:\s+(\d+)/.exec(fs.readFileSync(status, "utf8"))?.[1]
    : execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })
  return Math.round(Number(kibibytes) / 1024)
}

interface Latency {
  readonly p99: number
  readonly text: string
}

const latency = (waits: ReadonlyArray<number>): Latency => {
  const [p50, p99, max] = [0.5, 0.99, 1].map((q) => quantile(waits, q).toFixed(1))
  return { p99: quantile(waits, 0.99), text: `${p50}/${p99}/${max}` }
}
