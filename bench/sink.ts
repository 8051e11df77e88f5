/**
 * `npm run bench -- sink`: whether the sink is in anybody's way. The same load on
 * daemons that have no sink, one that hangs, one that fails, one that is slow, and a
 * collector that is down: in turns, so that what the machine does meanwhile is done
 * to all of them. The floor is the daemon without a sink, in the same round.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Client, launch, newHome, serving, type Victim } from "../test/torture/victim.ts"
import { median, print, quantile } from "./figures.ts"

const rounds = Number(process.env["ROUNDS"] ?? 7)
const seconds = Number(process.env["SECONDS_EACH"] ?? 3)
const connections = 8
const memoryEvents = Number(process.env["EVENTS"] ?? 100_000)

const scripts: Readonly<Record<string, string>> = {
  "joelclaw that hangs": "trap '' TERM INT HUP; cat >/dev/null; sleep 1000",
  "joelclaw that fails": "exit 1",
  "joelclaw that takes a second": "cat >/dev/null; sleep 1; echo '{\"ok\":true}'"
}

/** The environment of each kind of daemon; a stand-in for joelclaw lies in the home directory. */
const environments: Readonly<Record<string, (home: string) => Record<string, string>>> = {
  "no sink": () => ({}),
  "no sink, once more": () => ({}),
  ...Object.fromEntries(
    Object.entries(scripts).map(([name, script]) => [
      name,
      (home: string) => {
        const file = path.join(home, "joelclaw")
        fs.writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
        return { JOELCLAW_BIN: file, AGENT_SECRETS_EVENTS_MIN_LEVEL: "debug" }
      }
    ])
  ),
  // Nothing listens on the discard port.
  "OTLP collector that is down": () => ({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" })
}

const withDaemon = async <A>(name: string, use: (victim: Victim) => Promise<A>): Promise<A> => {
  const home = newHome()
  const victim = await serving(launch({ home, env: environments[name]?.(home) ?? {} }))
  try {
    const client = new Client(victim.socket)
    await client.ask("add", { name: "db", value: "made up" })
    client.close()
    return await use(victim)
  } finally {
    await victim.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

/** Acquires on all connections for a while; every one but the first of each client replaces, which is an event at info. */
const load = async (victim: Victim, isOver: (done: number) => boolean) => {
  const waits: Array<number> = []
  await Promise.all(
    Array.from({ length: connections }, async (_, at) => {
      const client = new Client(victim.socket)
      while (!isOver(waits.length)) {
        const from = performance.now()
        const answer = await client.ask("lease", { secret_name: "db", client_id: `c${at}` })
        if (answer?.result === undefined) throw new Error(JSON.stringify(answer))
        waits.push(performance.now() - from)
      }
      client.close()
    })
  )
  return waits
}

const residentMiB = (pid: number): number => {
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8")
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024)
}

const measured = new Map(Object.keys(environments).map((name) => [name, { rate: [] as number[], p99: [] as number[] }]))
for (let round = 0; round < rounds; round += 1) {
  for (const [name, figures] of measured) {
    await withDaemon(name, async (victim) => {
      // A moment of load that does not count: the first thousand run uncompiled.
      await load(victim, (done) => done > 2_000)
      const until = performance.now() + seconds * 1000
      const waits = await load(victim, () => performance.now() > until)
      figures.rate.push(waits.length / seconds)
      figures.p99.push(quantile(waits, 0.99))
    })
  }
}

const floor = measured.get("no sink") ?? { rate: [], p99: [] }
const ratios = (own: ReadonlyArray<number>, of: ReadonlyArray<number>) => own.map((value, at) => value / (of[at] ?? 1))
const rows = [...measured].map(([name, { p99, rate }]) => ({
  sink: name,
  "acquires/s": Math.round(median(rate)),
  "of no sink": Number(median(ratios(rate, floor.rate)).toFixed(3)),
  "p99 ms": Number(median(p99).toFixed(2)),
  "p99 of no sink": Number(median(ratios(p99, floor.p99)).toFixed(3))
}))

const memory = []
for (const name of ["no sink", "joelclaw that hangs", "OTLP collector that is down"]) {
  memory.push(
    await withDaemon(name, async (victim) => {
      await load(victim, (done) => done >= memoryEvents / 10)
      const first = residentMiB(victim.pid)
      await load(victim, (done) => done >= memoryEvents)
      const last = residentMiB(victim.pid)
      return { sink: name, events: memoryEvents, "MiB after a tenth": first, "MiB at the end": last }
    })
  )
}

print("sink", { rounds, seconds, connections, throughput: rows, memory })
