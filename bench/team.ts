/**
 * `npm run bench -- team`: acquires of machines in a team, over a PostgreSQL server of their own
 * on the same machine.
 *
 * Each round measures the floors first: appends with fdatasync, one insert and commit by pgbench
 * with as many clients, and a round trip. The ratios are to the floors of the same round. A daemon
 * without a team shows what the rest of an acquire costs. Then a million leases are in the table, and
 * a killswitch ends them.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { median } from "../test/harness/quantile.ts"
import type { Cluster } from "../test/support/postgres.ts"
import { ask, database, type Machine, type Team, withTeam } from "../test/torture/team/Machine.ts"
import { rawAppends } from "./floors.ts"
import { type Outcome, runLoad, secretNames } from "./load.ts"
import { print, rounded } from "./stats.ts"
import { nodeOptions, type Subject, withDaemon } from "./subject.ts"

const rounds = Number(process.env["ROUNDS"] ?? 3)
const seconds = Number(process.env["SECONDS_EACH"] ?? 1)
const counts = [1, 8, 32, 128]
const daemons = 4
/** Each machine has its own; every pair holds a lease, so that an acquire replaces one. */
const pairs = 1_000
/** Acquires of each daemon before the first round: V8 compiles the last functions after some ten thousand. */
const warmUp = 20 * pairs
const million = Number(process.env["LEASES"] ?? 1_000_000)

const samples = new Map<string, Array<number>>()
const add = (name: string, value: number): number => {
  samples.set(name, [...(samples.get(name) ?? []), value])
  return value
}
const middle = (name: string, digits = 2): number => rounded(median(samples.get(name) ?? []), digits)

interface Bench {
  readonly perSecond: number
  readonly mean: number
}

/** Runs a script of pgbench with prepared statements. */
const pgbench = (cluster: Cluster, directory: string, name: string, sql: string, clients: number): Bench => {
  const script = path.join(cluster.directory, name)
  fs.writeFileSync(script, `${sql}\n`)
  const jobs = String(Math.min(clients, 2))
  const place = ["-h", directory, "-U", "postgres", "-f", script, database]
  const printed = cluster.run("pgbench", [
    "-n",
    "-M",
    "prepared",
    "-c",
    String(clients),
    "-j",
    jobs,
    "-T",
    String(seconds),
    ...place
  ])
  const numberAfter = (text: string) => Number(new RegExp(`${text} = ([0-9.]+)`).exec(printed)?.[1] ?? Number.NaN)
  return { perSecond: numberAfter("tps"), mean: numberAfter("latency average") }
}

const insert = "insert into floor (line) values (repeat('x', 400));"
const roundTrip = "select 1;"

const acquire = ({ daemon, name }: Machine, connections: number, more: object = {}): Promise<Outcome> =>
  runLoad({
    socket: daemon?.socket ?? "",
    connections,
    seconds,
    warmUp: 50,
    kind: "acquire",
    pairs,
    clients: name,
    ...more
  })

const record = (name: string, { p50, p99, perSecond }: Outcome): Outcome => {
  add(`${name} per second`, perSecond)
  add(`${name} p50`, p50)
  add(`${name} p99`, p99)
  return { p50, p99, perSecond } as Outcome
}

const measureRound = async ({ cluster, machines }: Team, delayed: string, files: Subject): Promise<void> => {
  const [first, , , , far] = machines as [Machine, Machine, Machine, Machine, Machine]
  const near = machines.slice(0, daemons)
  add("fdatasync p50", (await rawAppends(400, seconds)).p50)
  add("round trip", pgbench(cluster, cluster.directory, "trip", roundTrip, 1).mean)
  for (const connections of counts) {
    const floor = pgbench(cluster, cluster.directory, "insert", insert, connections)
    const own = record(`acquire ${connections}`, await acquire(first, connections))
    const load = { socket: files.socket, connections, seconds, warmUp: 50, kind: "acquire", pairs } as const
    record(`files ${connections}`, await runLoad(load))
    add(`insert ${connections} per second`, floor.perSecond)
    add(`insert ${connections} mean`, floor.mean)
    add(`ratio ${connections}`, own.perSecond / floor.perSecond)
    add(`p99 ratio ${connections}`, own.p99 / floor.mean)
    if (connections !== 32) continue
    const all = await Promise.all(near.map((machine) => acquire(machine, 32)))
    const together = all.reduce((sum, { perSecond }) => sum + perSecond, 0)
    add("four daemons per second", together)
    add("four daemons p99", Math.max(...all.map(({ p99 }) => p99)))
    add("four daemons ratio", together / own.perSecond)
  }
  const trip = pgbench(cluster, delayed, "trip", roundTrip, 1).mean
  add("delayed trip", trip)
  add("delayed ratio", record("delayed", await acquire(far, 1)).p50 / trip)
}

const measureMillion = async (team: Team): Promise<void> => {
  const [first] = team.machines as [Machine]
  const rate = async (name: string) => {
    for (let round = 0; round < rounds; round += 1) record(name, await acquire(first, 32, { pairs: 100 }))
  }
  await rate("a hundred leases")
  ask(
    team,
    `insert into team.leases (id, pair, secret, client, machine, created_at, expires_at)
     select gen_random_uuid(), sha256(convert_to('many-' || n, 'UTF8')), 'secret_' || n % 10, 'many-' || n, 1, clock_timestamp(),
       clock_timestamp() + interval '1 day' from generate_series(1, ${million}) n`
  )
  ask(team, "vacuum analyze team.leases")
  ask(team, "checkpoint")
  await rate("a million leases")
  const from = performance.now()
  const answer = await first.ask("revokeAll")
  if (answer?.result === undefined) throw new Error(`the killswitch failed: ${JSON.stringify(answer)}`)
  add("killswitch", (performance.now() - from) / 1000)
}

/** A row of the table of promises. */
const promise = (what: string, measured: number, limit: number, isLeast: boolean) => ({
  promise: what,
  measured,
  limit: `${isLeast ? "at least" : "at most"} ${limit}`,
  kept: isLeast === measured >= limit || measured === limit ? "yes" : "NO"
})

const report = (load: string): void => {
  print("team", {
    rounds,
    seconds,
    load,
    floors: [
      { floor: "append of 400 bytes and fdatasync", "per second": "", ms: middle("fdatasync p50", 3) },
      { floor: "round trip (select 1)", "per second": "", ms: middle("round trip", 3) },
      ...counts.map((count) => ({
        floor: `insert and commit, ${count} at once`,
        "per second": Math.round(middle(`insert ${count} per second`)),
        ms: middle(`insert ${count} mean`, 3)
      })),
      { floor: "round trip with 1 ms each way", "per second": "", ms: middle("delayed trip", 3) }
    ],
    acquire: [
      ...counts.map((count) => [`${count} at once, with files instead`, `files ${count}`] as const),
      ...counts.map((count) => [`${count} at once`, `acquire ${count}`] as const),
      ["1 at once, 1 ms each way", "delayed"] as const,
      ["32 at once, a hundred leases", "a hundred leases"] as const,
      [`32 at once, ${million} leases`, "a million leases"] as const
    ].map(([what, name]) => ({
      acquires: what,
      "per second": Math.round(middle(`${name} per second`)),
      "p50 ms": middle(`${name} p50`),
      "p99 ms": middle(`${name} p99`)
    })),
    "four daemons": [
      {
        "at once, each": 32,
        "per second": Math.round(middle("four daemons per second")),
        "p99 ms": middle("four daemons p99")
      }
    ],
    promises: [
      promise("1 at once, of single insert-commits", middle("ratio 1"), 0.25, true),
      promise("32 at once, of single insert-commits", middle("ratio 32"), 0.6, true),
      promise("four daemons, of one", middle("four daemons ratio"), 0.7, true),
      promise("p99 at 32, of the mean of an insert", middle("p99 ratio 32"), 10, false),
      promise("round trips of an acquire with 1 ms each way", middle("delayed ratio"), 2, false),
      promise(
        "with a million leases, of a hundred",
        rounded(middle("a million leases per second") / middle("a hundred leases per second")),
        0.75,
        true
      ),
      promise("seconds of a killswitch over a million", middle("killswitch"), 3, false)
    ]
  })
}

let proxy: ReturnType<typeof spawn> | undefined
const startProxy = async (cluster: Cluster): Promise<string> => {
  const directory = path.join(cluster.directory, "far")
  if (proxy !== undefined) return directory
  fs.mkdirSync(directory)
  const program = fileURLToPath(new URL("../test/support/lineProxy.ts", import.meta.url))
  const socket = ".s.PGSQL.5432"
  proxy = spawn(process.execPath, [program, path.join(directory, socket), path.join(cluster.directory, socket), "1"])
  if (proxy.stdout !== null) await once(proxy.stdout, "data")
  return directory
}

const progress = (what: string) => void process.stderr.write(`${what}\n`)

progress("a cluster and five machines")
try {
  await withTeam(
    {
      machines: daemons + 1,
      settings: ["max_connections = 300"],
      onMachine: (machine) => {
        machine.nodeOptions = nodeOptions
      },
      section: () => ({ timeout: "10s" })
    },
    async (team) => {
      const { cluster, machines } = team
      const [first, , , , far] = machines as [Machine, Machine, Machine, Machine, Machine]
      ask(team, "create table public.floor (id bigserial primary key, line text)")
      for (const name of secretNames)
        await first.ask("add", { name, value: "made up, and as long as a token is: 0123456789abcdef" })
      const delayed = await startProxy(cluster)
      far.configure({ url: far.section["url"].replace(/host=.*/, `host=${delayed}`) })
      await far.stop()
      await far.serve()
      await far.untilServed()
      progress("warming up")
      const warm = machines.map((machine) =>
        acquire(machine, 32, { seconds: undefined, answers: warmUp, order: "sequence" })
      )
      await Promise.all(warm)
      await withDaemon(async (files) => {
        await runLoad({
          socket: files.socket,
          connections: 32,
          answers: warmUp,
          kind: "acquire",
          pairs,
          order: "sequence"
        })
        for (let round = 0; round < rounds; round += 1) {
          progress(`round ${round + 1} of ${rounds}`)
          await measureRound(team, delayed, files)
        }
      })
      const load = os
        .loadavg()
        .map((one) => rounded(one))
        .join(" ")
      progress(`${million} leases`)
      await measureMillion(team)
      report(load)
    }
  )
} finally {
  proxy?.kill("SIGKILL")
}
