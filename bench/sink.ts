/**
 * `npm run bench -- sink`: whether the sink is in anybody's way. The same load on
 * daemons that have no sink, a joelclaw that hangs, fails or is slow, and a collector
 * that works, hangs or is down: in turns, so that what the machine does meanwhile is
 * done to all of them. The floor is the daemon without a sink, in the same round; what
 * is said of that daemon a second time is how far the machine can be trusted.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { Client, launch, newHome, serving, type Victim } from "../test/torture/victim.ts"
import { median, print, quantile } from "./figures.ts"

const rounds = Number(process.env["ROUNDS"] ?? 7)
const seconds = Number(process.env["SECONDS_EACH"] ?? 1.5)
const connections = 8
const memoryEvents = Number(process.env["EVENTS"] ?? 100_000)
/** Words of the names of the daemons that are measured; all if it is empty. */
const only = process.env["ONLY"] ?? ""

/** Starts a collector; gives its address. */
const receiver = async (manner: "works" | "hangs"): Promise<{ child: ChildProcess; url: string }> => {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "receiver.ts"), manner], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const port = await new Promise<string>((resolve) => child.stdout.once("data", (bytes) => resolve(String(bytes))))
  return { child, url: `http://127.0.0.1:${port.trim()}` }
}

const works = await receiver("works")
const hangs = await receiver("hangs")

type Environment = (home: string) => Record<string, string>

const joelclaw =
  (script: string, more: Record<string, string> = {}): Environment =>
  (home) => {
    const file = path.join(home, "joelclaw")
    fs.writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    return { JOELCLAW_BIN: file, ...more }
  }

const debug = { AGENT_SECRETS_EVENTS_MIN_LEVEL: "debug" }
const slow = "cat >/dev/null; sleep 1; echo '{\"ok\":true}'"

/** All signals once a second, so that a measurement has its share of each. */
const otlp =
  (endpoint: string): Environment =>
  () => ({
    ...debug,
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_BSP_SCHEDULE_DELAY: "1000",
    OTEL_METRIC_EXPORT_INTERVAL: "1000"
  })

/** The environment of each kind of daemon; a stand-in for joelclaw lies in the home directory. */
const environments: Readonly<Record<string, Environment>> = {
  "no sink": () => ({}),
  "joelclaw that hangs": joelclaw("trap '' TERM INT HUP; cat >/dev/null; sleep 1000", debug),
  "joelclaw that fails": joelclaw("exit 1", debug),
  "joelclaw that takes a second": joelclaw(slow, debug),
  "the same, at the standard level": joelclaw(slow),
  "no sink, once more": () => ({}),
  "collector that works": otlp(works.url),
  "collector that hangs": otlp(hangs.url),
  // Nothing listens on the discard port.
  "collector that is down": otlp("http://127.0.0.1:9")
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

/** Processor time of the daemon so far, in microseconds; not a number where there is no /proc. */
const processorTime = (pid: number): number => {
  const file = `/proc/${pid}/stat`
  if (!fs.existsSync(file)) return Number.NaN
  const [, , , , , , , , , , , user, system] = fs
    .readFileSync(file, "utf8")
    .replace(/^.*\) /, "")
    .split(" ")
  // The kernel counts in hundredths of a second.
  return (Number(user) + Number(system)) * 10_000
}

interface Figures {
  readonly rate: Array<number>
  readonly p99: Array<number>
  readonly processor: Array<number>
}

const isWanted = (name: string) => only === "" || name.startsWith("no sink") || new RegExp(only).test(name)
const measured = new Map<string, Figures>(
  Object.keys(environments)
    .filter(isWanted)
    .map((name) => [name, { rate: [], p99: [], processor: [] }])
)
for (let round = 0; round < rounds; round += 1) {
  // Each round in the opposite order, so that nobody is always the one after somebody.
  const turns = round % 2 === 0 ? [...measured] : [...measured].toReversed()
  for (const [name, figures] of turns) {
    await withDaemon(name, async (victim) => {
      // A moment of load that does not count: the first thousands run uncompiled.
      await load(victim, (done) => done > 4_000)
      const before = processorTime(victim.pid)
      const from = performance.now()
      const until = from + seconds * 1000
      const waits = await load(victim, () => performance.now() > until)
      figures.rate.push((waits.length / (performance.now() - from)) * 1000)
      figures.p99.push(quantile(waits, 0.99))
      figures.processor.push((processorTime(victim.pid) - before) / waits.length)
    })
  }
}

const none: Figures = { rate: [], p99: [], processor: [] }
const floor = measured.get("no sink") ?? none
const ratios = (own: Figures, what: keyof Figures) => own[what].map((value, at) => value / (floor[what][at] ?? 1))
const shown = (own: Figures, what: keyof Figures) => {
  const all = ratios(own, what)
  const [middle, least, most] = [median(all), Math.min(...all), Math.max(...all)].map((ratio) => ratio.toFixed(3))
  return `${middle} (${least} to ${most})`
}
const rows = [...measured].map(([name, figures]) => ({
  sink: name,
  "acquires/s": Math.round(median(figures.rate)),
  "of no sink": shown(figures, "rate"),
  "p99 ms": Number(median(figures.p99).toFixed(2)),
  "p99 of no sink": shown(figures, "p99"),
  "CPU us each": Number(median(figures.processor).toFixed(1)),
  "CPU of no sink": shown(figures, "processor")
}))

const memory = []
for (const name of ["no sink", "joelclaw that hangs", "collector that hangs", "collector that is down"].filter(
  (one) => memoryEvents > 0 && isWanted(one)
)) {
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

for (const { child } of [works, hangs]) child.stdin?.end()
print("sink", { rounds, seconds, connections, throughput: rows, memory, measured: Object.fromEntries(measured) })
