/**
 * The machines of a team as the attacks use them: each with a directory, a daemon, clients that
 * acquire the same pairs, and what was acknowledged to them and when.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { Client } from "../../harness/connection.ts"
import { launch, type Target, untilReady } from "../../harness/daemon.ts"
import { pause, start } from "../../harness/program.ts"
import { type Cluster, type ClusterOptions, startCluster } from "../../support/postgres.ts"
import type { Random } from "../../support/random.ts"
import { temporaryHome } from "../../support/temporary.ts"

const clientsOfEach = 4
const pairs = 6

/** One answer to an acquire; without an id it was refused. */
interface Acquired {
  readonly id: string | undefined
  readonly asked: number
  readonly answered: number
  readonly error?: string
}

export class Machine {
  readonly home: string
  readonly name: string
  readonly acquires: Array<Acquired> = []
  /** The section `team` of its configuration. */
  section: Record<string, any> = {}
  /** A shell command that starts its daemon. */
  through: string | undefined
  nodeOptions: ReadonlyArray<string> = []
  daemon: Target | undefined

  constructor(name: string, home = temporaryHome()) {
    this.name = name
    this.home = home
  }

  get directory(): string {
    return path.join(this.home, ".agent-secrets")
  }

  get acknowledged(): ReadonlyArray<string> {
    return this.acquires.flatMap(({ id }) => id ?? [])
  }

  configure(section: object): void {
    this.section = { ...this.section, ...section }
    fs.writeFileSync(path.join(this.directory, "config.json"), JSON.stringify({ team: this.section }))
  }

  async run(args: ReadonlyArray<string>, stdin?: string): Promise<string> {
    const ended = await this.attempt(args, stdin)
    if (ended.status !== 0) throw new Error(`secrets ${args.join(" ")}: ${ended.stdout}${ended.stderr}`)
    return ended.stdout
  }

  attempt(args: ReadonlyArray<string>, stdin?: string) {
    return start(args, { home: this.home, ...(stdin === undefined ? {} : { stdin }) }).ended
  }

  async serve(): Promise<void> {
    const { home, nodeOptions, through } = this
    this.daemon = await untilReady(launch({ home, nodeOptions, ...(through === undefined ? {} : { through }) }))
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const { daemon } = this
    this.daemon = undefined
    await daemon?.end(signal)
  }

  async ask(method: string, params: object = {}) {
    const socket = this.daemon?.socket
    const client = socket === undefined ? undefined : new Client(socket)
    const answer = await client?.ask(method, params)
    client?.close()
    return answer
  }

  /** Acquires the secret db for a client. */
  async acquire(client: string, ttl = "1h"): Promise<Acquired> {
    const asked = performance.now()
    const answer = await this.ask("lease", { secret_name: "db", client_id: client, ttl })
    const acquired = {
      id: answer?.result?.lease_id,
      asked,
      answered: performance.now(),
      ...(answer?.error === undefined ? {} : { error: answer.error.message })
    }
    this.acquires.push(acquired)
    return acquired
  }

  /** Acquires until it succeeds; fails after a minute. */
  async untilServed(client = "probe"): Promise<void> {
    for (const end = performance.now() + 60_000; performance.now() < end;) {
      if ((await this.acquire(client)).id !== undefined) return
      await pause(10)
    }
    throw new Error(`${this.name} does not serve: ${this.acquires.at(-1)?.error}`)
  }

  remove(): void {
    fs.rmSync(this.home, { recursive: true, force: true })
  }
}

/** Has every client of every machine acquire random pairs, until the returned function is called. */
export const startWork = (team: ReadonlyArray<Machine>, random: Random): (() => Promise<void>) => {
  const state = { isOver: false }
  const work = team.flatMap((machine) =>
    Array.from({ length: clientsOfEach }, async () => {
      while (!state.isOver) {
        const { id } = await machine.acquire(`c${random.below(pairs)}`)
        if (id === undefined) await pause(20)
      }
    })
  )
  return async () => {
    state.isOver = true
    await Promise.all(work)
  }
}

export const database = "team"

export interface Team {
  readonly cluster: Cluster
  readonly machines: ReadonlyArray<Machine>
}

export interface TeamOptions extends ClusterOptions {
  readonly machines?: number
  /** Changes the section `team` of a machine before its daemon starts. */
  readonly section?: (section: Record<string, any>, name: string, cluster: Cluster) => object
  readonly onMachine?: (machine: Machine) => void
  /** Frees what the directories stand on, when nothing runs any more. */
  readonly release?: () => void
}

/** Provides a team in a cluster of its own that flushes; its machines serve the secret db. */
export const withTeam = async <A>(options: TeamOptions, use: (team: Team) => Promise<A>): Promise<A> => {
  const cluster = startCluster(true, options)
  const machines = Array.from({ length: options.machines ?? 3 }, (_, at) => new Machine(`m${at + 1}`))
  try {
    cluster.sql(`create database ${database}`)
    for (const machine of machines) options.onMachine?.(machine)
    await found(cluster, machines, options)
    return await use({ cluster, machines })
  } finally {
    for (const machine of machines) await machine.stop("SIGKILL")
    cluster.kill()
    options.release?.()
    for (const machine of machines) machine.remove()
    cluster.remove()
  }
}

/** Founds the team with the first machine, has it add the others, and starts all daemons. */
const found = async (cluster: Cluster, machines: ReadonlyArray<Machine>, options: TeamOptions): Promise<void> => {
  const [first, ...others] = machines
  if (first === undefined) return
  const admin = ["--admin-url", cluster.url("postgres", database)]
  const become = async (machine: Machine, command: ReadonlyArray<string>) => {
    const printed = await machine.run(["team", ...command, "--json"])
    machine.configure({ ...JSON.parse(printed).result.team, timeout: "1s" })
  }
  await first.serve()
  await first.run(["add", "db"], "made-up-value")
  await first.stop()
  await become(first, ["init", ...admin, "--name", first.name])
  await first.serve()
  for (const machine of others) {
    const [request, invitation] = ["request", "invitation"].map((name) => path.join(machine.home, name)) as [
      string,
      string
    ]
    fs.writeFileSync(request, await machine.run(["team", "request", "--name", machine.name]))
    await first.run(["team", "add", request, ...admin, "--out", invitation, "--yes"])
    await become(machine, ["join", invitation])
  }
  await first.stop()
  for (const machine of machines) {
    machine.configure({ ...options.section?.(machine.section, machine.name, cluster) })
    await machine.serve()
    await machine.untilServed()
  }
}

/** Runs SQL as the superuser, in the database of the team. */
export const ask = ({ cluster }: Team, text: string): ReadonlyArray<string> =>
  cluster.sql(text, database).split("\n").filter(Boolean)
