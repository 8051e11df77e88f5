/**
 * `npm run bench -- sink`: whether event sinks slow down requests. Several daemons run side by
 * side and get the same number of acquires, in turns of about half a second.
 *
 * Some have a joelclaw that hangs, fails or is slow. Others have a collector that works, hangs
 * or is down. The floor is the daemon without a sink, in the same round. A second daemon of
 * that kind shows how much the machine itself varies.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { Client } from "../test/harness/connection.ts"
import { launch, type Target, untilReady } from "../test/harness/daemon.ts"
import { median, quantile } from "../test/harness/quantile.ts"
import { temporaryHome } from "../test/support/temporary.ts"
import { mebibytes, print, rounded } from "./stats.ts"
import { nodeOptions, residentBytes } from "./subject.ts"

const rounds = Number(process.env["ROUNDS"] ?? 20)
/** Acquires in one turn; five turns precede the first that counts. */
const turn = Number(process.env["TURN"] ?? 2_500)
const connections = 8
const memoryEvents = Number(process.env["EVENTS"] ?? 100_000)
/** A regular expression for the names of the daemons to measure; empty for all. */
const only = process.env["ONLY"] ?? ""

/** Starts a collector. */
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

/** Exports all signals once a second, so that every measurement contains some of each. */
const otlp =
  (endpoint: string): Environment =>
  () => ({
    ...debug,
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_BSP_SCHEDULE_DELAY: "1000",
    OTEL_METRIC_EXPORT_INTERVAL: "1000"
  })

/** The environment of each kind of daemon. */
const environments: Readonly<Record<string, Environment>> = {
  none: () => ({}),
  "joelclaw that hangs": joelclaw("trap '' TERM INT HUP; cat >/dev/null; sleep 1000", debug),
  "joelclaw that fails": joelclaw("exit 1", debug),
  "joelclaw that takes a second": joelclaw(slow, debug),
  "the same, at the default level": joelclaw(slow),
  "none, again": () => ({}),
  "collector that works": otlp(works.url),
  "collector that hangs": otlp(hangs.url),
  // Nothing listens on the discard port.
  "collector that is down": otlp("http://127.0.0.1:9")
}

const startDaemon = async (name: string): Promise<Target> => {
  const home = temporaryHome()
  const target = await untilReady(launch({ home, nodeOptions, env: environments[name]?.(home) ?? {} }))
  const client = new Client(target.socket)
  await client.ask("add", { name: "db", value: "made up" })
  client.close()
  return target
}

const endDaemon = async (target: Target): Promise<void> => {
  await target.end("SIGKILL")
  fs.rmSync(target.home, { recursive: true, force: true })
}

/** Acquires on all connections. All but the first acquire of a client replace a lease, which is an event at info. */
const load = async (target: Target, isOver: (done: number) => boolean) => {
  const waits: Array<number> = []
  await Promise.all(
    Array.from({ length: connections }, async (_, at) => {
      const client = new Client(target.socket)
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

/** Returns the processor time of all threads in microseconds; NaN without /proc. */
const processorMicros = (pid: number): number => {
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
  readonly target: Target
  readonly rate: Array<number>
  readonly p99: Array<number>
  readonly processor: Array<number>
}

const isWanted = (name: string) => only === "" || name.startsWith("none") || new RegExp(only).test(name)

const measured: Array<Measured> = []
for (const name of Object.keys(environments).filter(isWanted)) {
  const target = await startDaemon(name)
  await load(target, (done) => done >= 5 * turn)
  measured.push({ name, target, rate: [], p99: [], processor: [] })
}
for (let round = 0; round < rounds; round += 1) {
  // The order alternates, so that no daemon always follows the same one.
  for (const one of round % 2 === 0 ? measured : measured.toReversed()) {
    const before = processorMicros(one.target.pid)
    const from = performance.now()
    const waits = await load(one.target, (done) => done >= turn)
    one.rate.push((waits.length / (performance.now() - from)) * 1000)
    one.p99.push(quantile(waits, 0.99))
    one.processor.push((processorMicros(one.target.pid) - before) / waits.length)
  }
}
for (const { target } of measured) await endDaemon(target)

const [floor] = measured
/** Formats the median of the ratios over all rounds, with their quartiles. */
const ofFloor = (one: Measured, what: "rate" | "p99" | "processor") => {
  const ratios = one[what].map((value, at) => value / (floor?.[what][at] ?? Number.NaN))
  const [middle, low, high] = [0.5, 0.25, 0.75].map((q) => quantile(ratios, q).toFixed(3))
  return `${middle} (${low} to ${high})`
}
const throughput = measured.map((one) => ({
  sink: one.name,
  "acquires/s": Math.round(median(one.rate)),
  "of no sink": ofFloor(one, "rate"),
  "p99 ms": rounded(median(one.p99)),
  "p99 of no sink": ofFloor(one, "p99"),
  "CPU µs each": rounded(median(one.processor), 1),
  "CPU of no sink": ofFloor(one, "processor")
}))

const memory = []
const watched = ["none", "joelclaw that hangs", "collector that hangs", "collector that is down"]
for (const name of watched.filter((one) => memoryEvents > 0 && isWanted(one))) {
  const target = await startDaemon(name)
  await load(target, (done) => done >= memoryEvents / 10)
  const first = residentBytes(target.pid)
  await load(target, (done) => done >= memoryEvents)
  memory.push({
    sink: name,
    events: memoryEvents,
    "MiB after a tenth": mebibytes(first),
    "MiB at the end": mebibytes(residentBytes(target.pid))
  })
  await endDaemon(target)
}

for (const { child } of [works, hangs]) child.stdin?.end()
print("sink", { rounds, turn, connections, throughput, memory })
