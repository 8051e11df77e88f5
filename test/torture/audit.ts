/**
 * The audit log under load: moved away, rotated, tampered with, and read at a gigabyte.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { quantile } from "../harness/quantile.ts"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"
import type { Random } from "../support/random.ts"
import { Client } from "../harness/connection.ts"
import { launch, type Target, untilReady } from "../harness/daemon.ts"
import { start } from "../harness/program.ts"
import { hasProc } from "../support/inside.ts"
import { temporaryHome } from "../support/temporary.ts"

/** Acquires on some connections until stopped, and collects the lease ids. */
const load = (target: Target, connections: number) => {
  const until = new AbortController()
  const ids: Array<string> = []
  const works = Array.from({ length: connections }, async (_, at) => {
    const client = new Client(target.socket)
    while (!until.signal.aborted) {
      const answer = await client.ask("lease", { secret_name: "db", client_id: `c${at}` })
      if (answer?.result === undefined) throw new Error(`${JSON.stringify(answer)} ${target.stderr()}`)
      ids.push(answer.result.lease_id)
    }
    client.close()
  })
  return {
    ids,
    stop: async () => {
      until.abort()
      await Promise.all(works)
    }
  }
}

const begin = async (home: string, config: object): Promise<Target> => {
  const file = path.join(home, "config.json")
  fs.writeFileSync(file, JSON.stringify(config))
  const target = await untilReady(launch({ home }, ["--config", file]))
  const client = new Client(target.socket)
  await client.ask("add", { name: "db", value: "made up" })
  client.close()
  return target
}

const filesOf = (directory: string): ReadonlyArray<string> =>
  fs.readdirSync(directory).filter((name) => name.startsWith("audit.log"))

/** Lists gaps in the sequence numbers and acknowledged leases without an entry. */
const missing = (directory: string, ids: ReadonlyArray<string>): ReadonlyArray<string> => {
  const entries = filesOf(directory)
    .flatMap((name) => fs.readFileSync(path.join(directory, name), "utf8").split("\n"))
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))
  const numbers = entries.map(({ seq }) => seq).toSorted((a, b) => a - b)
  const acquired = new Set(entries.filter(({ action }) => action === "lease_acquire").map(({ lease_id }) => lease_id))
  return [
    ...numbers
      .filter((seq, at) => seq !== at + 1)
      .slice(0, 1)
      .map((seq) => `the sequence numbers have a gap at ${seq}`),
    ...ids.filter((id) => !acquired.has(id)).map((id) => `the lease ${id} is not in the log`)
  ]
}

const movedAway = async (rounds: number, random: Random, log: (line: string) => void): Promise<Row> => {
  const home = temporaryHome()
  const target = await begin(home, {})
  try {
    const work = load(target, 4)
    for (let round = 0; round < rounds; round += 1) {
      const enough = work.ids.length + 1 + random.below(50)
      const file = path.join(target.directory, "audit.log")
      while (work.ids.length < enough || !fs.existsSync(file)) await new Promise(setImmediate)
      fs.renameSync(file, `${file}.moved-${round}`)
      if (random.next() < 0.5) target.signal("SIGHUP")
    }
    const last = work.ids.length + 20
    while (work.ids.length < last) await new Promise(setImmediate)
    await work.stop()
    const lost = missing(target.directory, work.ids)
    for (const line of lost.slice(0, 5)) log(line)
    const isRecorded = fs
      .readFileSync(path.join(target.directory, "audit.log.moved-1"), "utf8")
      .includes("audit_damaged")
    return { what: "moved away under load, leases", tried: work.ids.length, failed: lost.length + (isRecorded ? 0 : 1) }
  } finally {
    await target.end("SIGTERM")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

const rotated = async (rounds: number, log: (line: string) => void): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const target = await begin(home, { audit_max_size: "16KB", audit_max_files: 100_000 })
  try {
    const work = load(target, 4)
    while (filesOf(target.directory).length < rounds) await new Promise(setImmediate)
    await work.stop()
    await target.end("SIGTERM")
    const lost = missing(target.directory, work.ids)
    for (const line of lost.slice(0, 5)) log(line)
    const verdict = await start(["audit", "--verify"], { home }).ended
    if (verdict.status !== 0) log(verdict.stdout)
    const files = filesOf(target.directory).length
    return [
      { what: "rotated under load, leases", tried: work.ids.length, failed: lost.length, stats: `${files} files` },
      { what: "the chain through the archives", tried: files, failed: verdict.status === 0 ? 0 : 1 }
    ]
  } finally {
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

type Tampering = readonly [kind: string, change: (lines: Array<string>, random: Random) => string]

const tamperings: ReadonlyArray<Tampering> = [
  [
    "edited",
    (lines, random) => {
      const at = random.below(lines.length)
      const line = lines[at] ?? ""
      const place = random.below(line.length - 1)
      const other = line[place] === "x" ? "y" : "x"
      lines[at] = line.slice(0, place) + other + line.slice(place + 1)
      return lines.join("")
    }
  ],
  ["gap", (lines, random) => lines.toSpliced(random.below(lines.length - 5), 1 + random.below(4)).join("")],
  ["truncated", (lines, random) => lines.slice(0, -1 - random.below(4)).join("")],
  [
    "torn",
    (lines, random) => {
      const last = lines.pop() ?? ""
      return lines.join("") + last.slice(0, 1 + random.below(last.length - 2))
    }
  ]
]

const tampered = async (rounds: number, random: Random, log: (line: string) => void): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const target = await begin(home, {})
  try {
    const work = load(target, 2)
    while (work.ids.length < 30) await new Promise(setImmediate)
    await work.stop()
    await target.end("SIGTERM")
    const file = path.join(target.directory, "audit.log")
    const whole = fs.readFileSync(file, "utf8")
    const counts = new Map(tamperings.map(([kind]) => [kind, { tried: 0, failed: 0 }]))
    for (let round = 0; round < rounds; round += 1) {
      const [kind, change] = random.pick(tamperings)
      fs.writeFileSync(file, change(whole.split(/(?<=\n)/), random))
      const { status, stdout } = await start(["audit", "--verify", "--json"], { home }).ended
      const kinds = JSON.parse(stdout).result.findings.map((one: { readonly kind: string }) => one.kind)
      // An edited sequence number also looks like a gap; any finding will do. With the entry of the last change of the
      // store removed, the store is one that the log does not know, which is a finding of its own.
      const isFound =
        kind === "edited"
          ? kinds.length > 0
          : kinds.includes(kind) && kinds.every((one: string) => one === kind || one === "store")
      const count = counts.get(kind)
      if (count === undefined) continue
      count.tried += 1
      if (status === 0 || !isFound) {
        count.failed += 1
        log(`round ${round}: ${kind} was reported as ${kinds.join(", ") || "nothing"}`)
      }
    }
    return [...counts].map(([kind, count]) => ({ what: `tampering found: ${kind}`, ...count }))
  } finally {
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

/** Requests as many entries as allowed, over and over. It does not parse them, which would slow the measurement. */
const readContinuously = (socket: string) => {
  const request = `${JSON.stringify({ method: "secrets.audit", params: { tail: 10_000 }, id: 1 })}\n`
  const connection = net.connect(socket, () => connection.write(request))
  let replies = 0
  connection.on("data", (piece) => {
    if (piece.at(-1) !== 0x0a) return
    replies += 1
    connection.write(request)
  })
  return { replies: () => replies, stop: () => void connection.destroy() }
}

const timed = async (asked: Promise<unknown>) => {
  const from = performance.now()
  await asked
  return performance.now() - from
}

const lease = (client: Client) => timed(client.ask("lease", { secret_name: "db", client_id: "a" }))

/** Provides a daemon on a predecessor's log of so many bytes, and the duration of its first start. */
const withLongLog = async <A>(bytes: number, use: (target: Target, start: number) => Promise<A>): Promise<A> => {
  const home = temporaryHome()
  const directory = path.join(home, ".agent-secrets")
  fs.mkdirSync(directory, { mode: 0o700 })
  const entry = (n: number) =>
    `{"timestamp":"2026-02-22T00:00:00Z","action":"lease_acquire","secret_name":"s${n}","client_id":"worker","lease_id":"${"0".repeat(8)}-${n}","details":"TTL: 24h0m0s","success":true}\n`
  const block = Array.from({ length: 5_000 }, (_, n) => entry(n)).join("")
  const file = fs.openSync(path.join(directory, "audit.log"), "w", 0o600)
  for (let written = 0; written < bytes; written += block.length) fs.writeSync(file, block)
  fs.closeSync(file)
  const began = performance.now()
  const target = await begin(home, {})
  const start = performance.now() - began
  try {
    return await use(target, start)
  } finally {
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

/** Reads the last entries 50 times. Returns the bytes that the daemon read in the median, where Linux counts them, and the time. */
const tails = async ({ pid, socket }: Target) => {
  const bytesRead = () => (hasProc ? Number(/^rchar: (\d+)/m.exec(fs.readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]) : 0)
  const client = new Client(socket)
  const bytes: Array<number> = []
  const times: Array<number> = []
  for (let n = 0; n < 50; n += 1) {
    const before = bytesRead()
    times.push(await timed(client.ask("audit", { tail: 100 })))
    bytes.push(bytesRead() - before)
  }
  client.close()
  return { bytes: quantile(bytes, 0.5), time: quantile(times, 0.5) }
}

/** Measures leases with and without a client that reads the log continuously. */
const leasesDuringReads = async (socket: string) => {
  const client = new Client(socket)
  const quiet: Array<number> = []
  for (let n = 0; n < 200; n += 1) quiet.push(await lease(client))
  const reading = readContinuously(socket)
  const loaded: Array<number> = []
  while (loaded.length < 400 || reading.replies() < 2) loaded.push(await lease(client))
  reading.stop()
  client.close()
  return { quiet: quantile(quiet, 0.99), loaded: quantile(loaded, 0.99) }
}

const kilobytes = ({ bytes, time }: { readonly bytes: number; readonly time: number }) =>
  `${Math.round(bytes / 1e3)} kB in ${ms(time)}`

const ms = (millis: number) => `${millis.toFixed(1)} ms`

/** Compares what the daemon reads of a short and of a long log; `more` measures other things on the long one. */
const read = (bytes: number, more: (socket: string) => Promise<ReadonlyArray<Row>>): Promise<ReadonlyArray<Row>> =>
  withLongLog(1e6, (small) =>
    withLongLog(bytes, async (large, start) => {
      const ofSmall = await tails(small)
      const ofLarge = await tails(large)
      const row: Row = {
        what: `the last 100 entries of 1 MB and of ${Math.round(bytes / 1e6)} MB`,
        tried: 1,
        failed: ofLarge.bytes <= 2 * ofSmall.bytes ? 0 : 1,
        stats: `${kilobytes(ofSmall)} and ${kilobytes(ofLarge)} read; the first start took ${ms(start)}`
      }
      return [row, ...(await more(large.socket))]
    })
  )

const leasesRow = async (socket: string): Promise<Row> => {
  const { loaded, quiet } = await leasesDuringReads(socket)
  return {
    what: "leases while 10,000 entries are read continuously",
    tried: 1,
    failed: loaded > Math.max(50, 8 * quiet) ? 1 : 0,
    stats: `p99 ${ms(loaded)}, without ${ms(quiet)}`
  }
}

export const auditRounds = async (
  { random, rounds, log }: ScenarioOptions,
  longest: number,
  more: (socket: string) => Promise<ReadonlyArray<Row>> = () => Promise.resolve([])
): Promise<ReadonlyArray<Row>> => [
  await movedAway(rounds, random, log),
  ...(await rotated(rounds, log)),
  ...(await tampered(rounds, random, log)),
  ...(await read(longest, more))
]

export const scenario: Scenario = {
  promise: "the audit log loses no entry, reveals tampering, and is as fast to read at 1 GB as at 1 MB",
  rounds: 40,
  run: (options) => auditRounds(options, 1e9, async (socket) => [await leasesRow(socket)])
}
