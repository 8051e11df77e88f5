/**
 * Several daemons over one PostgreSQL server, whose clients acquire the same pairs, while daemons
 * are killed, sessions are ended and the server crashes. Afterwards the chains, the leases and
 * what was acknowledged must tell the same story. The cluster is its own, and flushes.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Client } from "../harness/connection.ts"
import { launch, type Target, untilReady } from "../harness/daemon.ts"
import { pause, start } from "../harness/program.ts"
import { type Cluster, postgresPrograms, startCluster } from "../support/postgres.ts"
import type { Random } from "../support/random.ts"
import { temporaryHome } from "../support/temporary.ts"
import type { Row, Scenario, ScenarioOptions } from "./Scenario.ts"

const machines = 3
const clientsOfEach = 4
const pairs = 6
const database = "team"

/** One machine: its directory, its daemon, and the leases whose acquires were acknowledged. */
class Machine {
  readonly home = temporaryHome()
  readonly name: string
  readonly acknowledged: Array<string> = []
  refused = 0
  daemon: Target | undefined

  constructor(name: string) {
    this.name = name
  }

  get config(): string {
    return path.join(this.home, ".agent-secrets", "config.json")
  }

  async run(args: ReadonlyArray<string>, stdin?: string) {
    const ended = await start(args, { home: this.home, ...(stdin === undefined ? {} : { stdin }) }).ended
    if (ended.status !== 0) throw new Error(`secrets ${args[0]}: ${ended.stdout}${ended.stderr}`)
    return ended.stdout
  }

  async serve(): Promise<void> {
    this.daemon = await untilReady(launch({ home: this.home }))
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const { daemon } = this
    this.daemon = undefined
    await daemon?.end(signal)
  }

  /** Acquires random pairs until told to stop. */
  async work(random: Random, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const socket = this.daemon?.socket
      const client = socket === undefined ? undefined : new Client(socket)
      const params = { secret_name: "db", client_id: `c${random.below(pairs)}`, ttl: "1h" }
      const answer = await client?.ask("lease", params)
      client?.close()
      if (answer?.result !== undefined) this.acknowledged.push(answer.result.lease_id)
      else {
        this.refused += 1
        await pause(20)
      }
    }
  }
}

/** Makes the database and the machines, which know each other, and starts their daemons. */
const setUp = async (cluster: Cluster): Promise<ReadonlyArray<Machine>> => {
  cluster.sql(`create database ${database}`)
  const team = Array.from({ length: machines }, (_, at) => new Machine(`m${at + 1}`))
  const url = cluster.url("postgres", database)
  const sections: Array<{ readonly machines: ReadonlyArray<object> }> = []
  for (const machine of team) {
    if (sections.length === 0) {
      await machine.serve()
      await machine.run(["add", "db"], "made-up-value")
      await machine.stop()
    }
    const printed = await machine.run(["team", "init", "--admin-url", url, "--name", machine.name, "--json"])
    sections.push(JSON.parse(printed).result.team)
  }
  const list = sections.flatMap((section) => section.machines)
  for (const [at, machine] of team.entries()) {
    fs.writeFileSync(machine.config, JSON.stringify({ team: { ...sections[at], machines: list, timeout: "1s" } }))
    await machine.serve()
    // It seals the secret for the others.
    if (at === 0) await pause(2500)
  }
  return team
}

/** Does something that a machine or a server may meet. */
const attack = async (cluster: Cluster, team: ReadonlyArray<Machine>, random: Random): Promise<string> => {
  const kind = random.pick(["kill", "kill", "terminate", "crash"])
  if (kind === "kill") {
    const machine = random.pick(team)
    await machine.stop("SIGKILL")
    await machine.serve()
  } else if (kind === "terminate") {
    cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename like 'as_%'")
  } else {
    cluster.stop("immediate")
    cluster.start()
  }
  return kind
}

/** Compares the entries of all machines with the leases and with what was acknowledged. */
const judge = (cluster: Cluster, team: ReadonlyArray<Machine>): ReadonlyArray<Row> => {
  const entries = cluster
    .sql("select line from team.audit order by machine, seq", database)
    .split("\n")
    .map((line): any => JSON.parse(line))
  const idsOf = (...actions: ReadonlyArray<string>) =>
    entries.filter(({ action, success }) => success && actions.includes(action)).map(({ lease_id }) => lease_id)
  const acquired = new Set(idsOf("lease_acquire"))
  const ended = idsOf("lease_replace", "lease_revoke", "lease_expire")
  const held = cluster.sql("select id from team.leases", database).split("\n")
  const acknowledged = team.flatMap((machine) => machine.acknowledged)
  const open = [...acquired].filter((id) => !ended.includes(id))
  return [
    {
      what: "acknowledged acquires that are in no entry",
      tried: acknowledged.length,
      failed: acknowledged.filter((id) => !acquired.has(id)).length
    },
    { what: "leases that ended twice", tried: ended.length, failed: ended.length - new Set(ended).size },
    {
      what: "leases that the entries and the table tell differently",
      tried: held.length,
      failed: open.filter((id) => !held.includes(id)).length + held.filter((id) => !open.includes(id)).length
    },
    { what: "pairs with two leases", tried: pairs, failed: Math.max(0, held.length - pairs) }
  ]
}

/** Verifies each audit.log, and compares it with the chain in the database. */
const judgeCopies = async (
  cluster: Cluster,
  team: ReadonlyArray<Machine>,
  print: (line: string) => void
): Promise<Row> => {
  let failed = 0
  for (const machine of team) {
    const ended = await start(["audit", "--verify"], { home: machine.home }).ended
    const chain = cluster.sql(
      `select line from team.audit a join team.machines m on m.id = a.machine where m.name = '${machine.name}' order by seq`,
      database
    )
    const log = fs.readFileSync(path.join(machine.home, ".agent-secrets", "audit.log"), "utf8")
    const isCopy = log.endsWith(`${chain}\n`)
    if (ended.status === 0 && isCopy) continue
    failed += 1
    print(`${machine.name}: ${isCopy ? ended.stdout : "audit.log is not its chain"}`)
  }
  return { what: "logs that are not a whole copy of their chain", tried: team.length, failed }
}

const run = async ({ log, random, rounds }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  if (postgresPrograms === undefined) {
    log("left out: there is no PostgreSQL server (initdb) here")
    return []
  }
  const cluster = startCluster(true)
  const counts = new Map<string, number>()
  let team: ReadonlyArray<Machine> = []
  try {
    team = await setUp(cluster)
    let isOver = false
    const work = team.flatMap((machine) =>
      Array.from({ length: clientsOfEach }, async () => await machine.work(random, () => isOver))
    )
    for (let round = 0; round < rounds; round += 1) {
      await pause(100 + random.below(400))
      const kind = await attack(cluster, team, random)
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
    }
    await pause(2000)
    isOver = true
    await Promise.all(work)
    for (const machine of team) await machine.stop()
    const done = team.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)
    log(`${done} acquired, ${[...counts].map(([kind, count]) => `${count} ${kind}`).join(", ")}`)
    const rows = judge(cluster, team)
    return [...rows, await judgeCopies(cluster, team, log)]
  } finally {
    for (const machine of team) {
      await machine.stop("SIGKILL")
      fs.rmSync(machine.home, { recursive: true, force: true })
    }
    cluster.remove()
  }
}

export const scenario: Scenario = {
  promise: "a pair has one lease in a team, and no crash of a daemon or of the server loses an acknowledged one",
  rounds: 30,
  run
}
