/**
 * `npm run bench -- sink`: whether the sink is in anybody's way. The same load on
 * daemons that have no sink, a joelclaw that hangs, fails or is slow, and a collector
 * that works, hangs or is down: all of them alive side by side and loaded in turns of
 * about half a second, so that what the machine does meanwhile is done to all of them.
 * Turns have the same number of acquires, for a daemon that has answered more of them
 * is compiled better. The floor is the daemon without a sink, in the same round; what is
 * found for a second one of that kind is how far the machine can be trusted.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { Client } from "../test/harness/connection.ts"
import { launch, type Target, untilReady } from "../test/harness/daemon.ts"
import { temporaryHome } from "../test/support/temporary.ts"
import { median, print, quantile } from "./stats.ts"
import { nodeOptions } from "./subject.ts"

const rounds = Number(process.env["ROUNDS"] ?? 20)
/** Acquires in one turn; as many as five turns come before the first that counts. */
const turn = Number(process.env["TURN"] ?? 2_500)
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

const startDaemon = async (name: string): Promise<Target> => {
  const home = temporaryHome()
  const victim = await untilReady(launch({ home, nodeOptions, env: environments[name]?.(home) ?? {} }))
  const client = new Client(victim.socket)
  await client.ask("add", { name: "db", value: "made up" })
  client.close()
  return victim
}

const endDaemon = async (victim: Target): Promise<void> => {
  await victim.end("SIGKILL")
  fs.rmSync(victim.home, { recursive: true, force: true })
}

/** Acquires on all connections for a while; every one but the first of each client replaces, which is an event at info. */
const load = async (victim: Target, isOver: (done: number) => boolean) => {
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

/** Processor time of all threads so far, in microseconds; not a number where there is no /proc. */
const processorTime = (pid: number): number => {
  const tasks = `/proc/${pid}/task`
  if (!fs.existsSync(tasks)) return Number.NaN
  const nanos = fs.readdirSync(tasks).map((task) => {
    const file = `${tasks}/${task}/schedstat`
    return fs.existsSync(file) ? Number(fs.readFileSync(file, "utf8").split(" ")[0]) : 0
  })
  return nanos.reduce((sum, one) => sum + one, 0) / 1000
}

interface Measured {
  readonly name: string
  readonly victim: Target
  readonly rate: Array<number>
  readonly p99: Array<number>
  readonly processor: Array<number>
}

const isWanted = (name: string) => only === "" || name.startsWith("no sink") || new RegExp(only).test(name)

const measured: Array<Measured> = []
for (const name of Object.keys(environments).filter(isWanted)) {
  const victim = await startDaemon(name)
  await load(victim, (done) => done >= 5 * turn)
  measured.push({ name, victim, rate: [], p99: [], processor: [] })
}
for (let round = 0; round < rounds; round += 1) {
  // Each round in the opposite order, so that nobody is always the one after somebody.
  for (const one of round % 2 === 0 ? measured : measured.toReversed()) {
    const before = processorTime(one.victim.pid)
    const from = performance.now()
    const waits = await load(one.victim, (done) => done >= turn)
    one.rate.push((waits.length / (performance.now() - from)) * 1000)
    one.p99.push(quantile(waits, 0.99))
    one.processor.push((processorTime(one.victim.pid) - before) / waits.length)
  }
}
for (const { victim } of measured) await endDaemon(victim)

const [floor] = measured
/** The middle one of the ratios of all rounds, and between which the middle half of them lies. */
const ofFloor = (one: Measured, what: "rate" | "p99" | "processor") => {
  const ratios = one[what].map((value, at) => value / (floor?.[what][at] ?? Number.NaN))
  const [middle, low, high] = [0.5, 0.25, 0.75].map((q) => quantile(ratios, q).toFixed(3))
  return `${middle} (${low} to ${high})`
}
const rows = measured.map((one) => ({
  sink: one.name,
  "acquires/s": Math.round(median(one.rate)),
  "of no sink": ofFloor(one, "rate"),
  "p99 ms": Number(median(one.p99).toFixed(2)),
  "p99 of no sink": ofFloor(one, "p99"),
  "CPU us each": Number(median(one.processor).toFixed(1)),
  "CPU of no sink": ofFloor(one, "processor")
}))

const memory = []
const watched = ["no sink", "joelclaw that hangs", "collector that hangs", "collector that is down"]
for (const name of watched.filter((one) => memoryEvents > 0 && isWanted(one))) {
  const victim = await startDaemon(name)
  await load(victim, (done) => done >= memoryEvents / 10)
  const first = residentMiB(victim.pid)
  await load(victim, (done) => done >= memoryEvents)
  const last = residentMiB(victim.pid)
  memory.push({ sink: name, events: memoryEvents, "MiB after a tenth": first, "MiB at the end": last })
  await endDaemon(victim)
}

for (const { child } of [works, hangs]) child.stdin?.end()
print("sink", { rounds, turn, connections, throughput: rows, memory })
