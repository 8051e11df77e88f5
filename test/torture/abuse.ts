/**
 * Clients that mean harm, one kind after the other, and an honest one that asks
 * all the time: what it waits, what the daemon's memory comes to, and whether the
 * daemon answers when they are gone.
 */
import * as Effect from "effect/Effect"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { Connection } from "../harness/connection.ts"
import { connect, rpc, type RunningDaemon, startDaemon } from "../harness/daemon.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"
import { abusiveClients } from "./abusiveClients.ts"

/** What is promised: the honest client's 99th percentile, and the memory named in src/rpc/limits.ts. */
const longestWait = 50
const mostMemory = 640

export const scenario: Scenario = {
  promise: `p99 of others below ${longestWait} ms, below ${mostMemory} MiB, alive afterwards`,
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
  yield* rpc(daemon.socket, "add", { name: "honest", value: "made-up" })
  // It takes the daemon memory to keep it, which is not what the other assaults are about.
  if (["large", "values"].includes(name)) {
    yield* rpc(daemon.socket, "add", { name: "large", value: "x".repeat(1024 * 1024) })
  }
  const abuse = few ? { what: "idle connections where there are 256 files", size: 400 } : abusiveClients[name]
  const kept = yield* connect(daemon.socket)
  const stop =
    abuse === undefined ? () => undefined : yield* Effect.promise(() => begin(few ? "idle" : name, daemon, abuse.size))
  const waits = yield* Effect.promise(() => askAllTheTime(daemon.socket, kept, rounds))
  const memory = peakMemory(daemon.pid)
  stop()
  const alive = yield* Effect.promise(() => answers(daemon.socket))
  const asOpen = stats(waits.kept)
  const asNew = stats(waits.fresh)
  const broken = [
    !alive,
    asOpen.p99 > longestWait,
    !few && asNew.p99 > longestWait,
    memory > mostMemory,
    waits.refused > (few ? rounds / 2 : 0)
  ].filter((isBroken) => isBroken).length
  return {
    what: abuse === undefined ? "nobody else" : `${abuse.size} × ${abuse.what}`,
    tried: rounds,
    failed: broken,
    stats: `kept ${asOpen.text} ms, new ${asNew.text} ms (p50/p99/max), ${memory} MiB${waits.refused > 0 ? `, ${waits.refused} refused` : ""}${alive ? "" : ", DEAD"}`
  } satisfies Row
})

/** Starts the abuse; gives what ends it. */
const begin = async (name: string, daemon: RunningDaemon, size: number): Promise<() => void> => {
  const script = path.join(import.meta.dirname, "abusiveClients.ts")
  const child = spawn(process.execPath, [script, name, daemon.socket, String(size)], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  await Promise.race([once(child.stdout, "data"), after(3_000)])
  return () => void child.kill("SIGKILL")
}

/** Acquires, in turn on a connection that was open before and on one of its own. */
const askAllTheTime = async (socket: string, open: Connection, count: number) => {
  const line = JSON.stringify({
    method: "secrets.lease",
    params: { secret_name: "honest", client_id: "honest" },
    id: 1
  })
  let connection = open
  const waits = { kept: [0].slice(1), fresh: [0].slice(1), refused: 0 }
  for (let asked = 0; asked < count; asked += 1) {
    const isFresh = asked % 2 === 1
    const begun = performance.now()
    const used = isFresh ? new Connection(socket) : connection
    const reply = await Promise.race([used.ask(line), after(10_000)])
    const granted = reply?.includes('"value":"made-up"') === true
    if (granted) waits[isFresh ? "fresh" : "kept"].push(performance.now() - begun)
    else waits.refused += 1
    if (isFresh || !granted) used.socket.destroy()
    if (!isFresh && !granted) connection = new Connection(socket)
    await after(5)
  }
  connection.socket.destroy()
  return waits
}

const after = (millis: number) => new Promise<undefined>((resolve) => setTimeout(resolve, millis, undefined))

/** Whether it answers within some seconds after the abuse. */
const answers = async (socket: string): Promise<boolean> => {
  for (let tries = 0; tries < 100; tries += 1) {
    const connection = new Connection(socket)
    const reply = await Promise.race([connection.ask('{"method":"secrets.status","id":1}'), after(5_000)])
    connection.socket.destroy()
    if (reply?.includes('"running":true') === true) return true
    await after(100)
  }
  return false
}

/** In MiB; the most it ever was where the system tells, or else what it is now. */
const peakMemory = (pid: number): number => {
  const status = `/proc/${pid}/status`
  const kibibytes = fs.existsSync(status)
    ? /VmHWM:\s+(\d+)/.exec(fs.readFileSync(status, "utf8"))?.[1]
    : execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })
  return Math.round(Number(kibibytes) / 1024)
}

const stats = (waits: ReadonlyArray<number>) => {
  const sorted = waits.toSorted((a, b) => a - b)
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
  const shown = [at(0.5), at(0.99), at(1)].map((wait) => wait.toFixed(1))
  return { p99: at(0.99), text: shown.join("/") }
}
