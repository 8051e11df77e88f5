/**
 * Random signals to a daemon under load, from before its first statement until it ends.
 *
 * Each round starts a daemon on the files of the last one. It sends signals at the start and
 * under load, and then ends the daemon in order or by SIGKILL.
 *
 * No signal may open a debugger. Only SIGTERM, SIGINT and SIGKILL may end a ready daemon.
 * Every acknowledged lease must survive, and an orderly end must be recorded.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { answers, Client } from "../harness/connection.ts"
import { becomesReady, launch, type Target, untilReady } from "../harness/daemon.ts"
import { pause, survivedHere } from "../harness/program.ts"
import { isPrompt } from "../harness/prompt.ts"
import { listeningPorts } from "../support/inside.ts"
import { temporaryHome } from "../support/temporary.ts"
import type { Row, Scenario, ScenarioOptions } from "./Scenario.ts"

const clients = 4
const secrets = 8
/** Milliseconds within which a signal may arrive before Node handles it; then the operating system ends the process. */
const beforeNode = 60

export const scenario: Scenario = {
  promise: "no signal opens the daemon, none but TERM, INT and KILL ends it, and no answered lease is lost",
  rounds: 60,
  run: async (options) => {
    const home = temporaryHome()
    const tally = new Tally()
    let last: Target | undefined
    try {
      await addSecrets(home)
      for (let round = 0; round < options.rounds; round += 1) {
        await playRound(home, options, tally, (target) => (last = target))
        if (round % 10 === 9) options.log(`${round + 1} rounds, slowest start ${tally.slowestStart.toFixed(0)} ms`)
      }
    } finally {
      last?.signal("SIGKILL")
      fs.rmSync(home, { recursive: true, force: true })
    }
    return tally.rows()
  }
}

class Tally {
  slowestStart = 0
  slowestEnd = 0
  earlyDeaths = 0
  private readonly counted = new Map<string, { tried: number; failed: number }>()

  count(what: string, held: boolean): void {
    const row = this.counted.get(what) ?? { tried: 0, failed: 0 }
    this.counted.set(what, { tried: row.tried + 1, failed: row.failed + (held ? 0 : 1) })
  }

  rows(): ReadonlyArray<Row> {
    const stats = new Map([
      ["start under SIGUSR1", `slowest ${this.slowestStart.toFixed(0)} ms; ${this.earlyDeaths} died before Node ran`],
      ["end in order", `slowest ${this.slowestEnd.toFixed(0)} ms`]
    ])
    return [...this.counted].map(([what, row]) => ({ what, ...row, stats: stats.get(what) ?? "" }))
  }
}

const playRound = async (
  home: string,
  { random }: ScenarioOptions,
  tally: Tally,
  started: (target: Target) => void
): Promise<void> => {
  const target = await startUnderSignals(home, random.below(beforeNode), tally, started)
  const connections = Array.from({ length: clients }, () => new Client(target.socket))
  const answered = new Map<string, string>()
  const unsure = new Set<string>()
  const work = Promise.all(connections.map((client, n) => keepBusy(client, n, answered, unsure)))

  for (let n = 0; n < 30; n += 1) {
    target.signal(random.pick(survivedHere))
    if (random.below(3) === 0) await pause(random.below(4))
  }
  // On a busy machine, all of that takes less time than one answer.
  while (answered.size === 0 && target.child.exitCode === null && target.child.signalCode === null) await pause(1)
  const { exitCode, signalCode } = target.child
  tally.count("signal under load", exitCode === null && signalCode === null && (await answers(target.socket)))
  tally.count("debugger shut", listeningPorts(target.pid).length === 0)

  const inOrder = random.below(2) === 0
  const begun = performance.now()
  if (inOrder) {
    for (let n = 0; n <= random.below(10); n += 1) {
      target.signal(random.pick(["SIGTERM", "SIGINT"]))
      await pause(random.below(5))
    }
  } else {
    target.signal("SIGKILL")
  }
  const { status } = await target.ended
  await work
  if (inOrder) {
    const took = performance.now() - begun
    tally.slowestEnd = Math.max(tally.slowestEnd, took)
    const audit = fs.readFileSync(path.join(target.directory, "audit.log"), "utf8").trimEnd().split("\n")
    const recorded = JSON.parse(audit.at(-1) ?? "{}").action === "daemon_stop"
    tally.count("end in order", status === 0 && recorded && (await isPrompt(took, 2_000)))
  }
  await compare(home, answered, unsure, tally)
}

const addSecrets = async (home: string): Promise<void> => {
  const target = await untilReady(launch({ home }))
  const client = new Client(target.socket)
  for (let n = 0; n < secrets; n += 1) await client.ask("add", { name: `s${n}`, value: `made-up ${n}` })
  client.close()
  await target.end("SIGTERM")
}

/** Starts a daemon and sends it SIGUSR1 meanwhile; starts again if the signal came before Node could handle it. */
const startUnderSignals = async (
  home: string,
  delay: number,
  tally: Tally,
  started: (target: Target) => void
): Promise<Target> => {
  const begun = performance.now()
  const target = launch({ home })
  started(target)
  const ready = becomesReady(target)
  await pause(delay)
  target.signal("SIGUSR1")
  if (!(await ready)) {
    tally.earlyDeaths += 1
    return startUnderSignals(home, beforeNode * 2, tally, started)
  }
  tally.slowestStart = Math.max(tally.slowestStart, performance.now() - begun)
  tally.count("start under SIGUSR1", listeningPorts(target.pid).length === 0)
  return target
}

/** Leases one secret after the other until the daemon ends. */
const keepBusy = async (
  client: Client,
  n: number,
  answered: Map<string, string>,
  unsure: Set<string>
): Promise<void> => {
  for (let turn = 0; ; turn += 1) {
    const params = { secret_name: `s${n + clients * (turn % (secrets / clients))}`, client_id: `c${n}`, ttl: "24h" }
    const pair = `${params.secret_name} ${params.client_id}`
    unsure.add(pair)
    const answer = await client.ask("lease", params)
    if (answer === undefined) break
    if (answer.result !== undefined) {
      answered.set(pair, answer.result.lease_id)
      unsure.delete(pair)
    }
  }
  client.close()
}

/** Starts a daemon and ends it in order, so that leases.json holds what it restored, and compares. */
const compare = async (
  home: string,
  answered: ReadonlyMap<string, string>,
  unsure: ReadonlySet<string>,
  tally: Tally
): Promise<void> => {
  const target = await untilReady(launch({ home }))
  await target.end("SIGTERM")
  const leases: ReadonlyArray<any> =
    JSON.parse(fs.readFileSync(path.join(target.directory, "leases.json"), "utf8")) ?? []
  const held = new Map(leases.map((lease) => [`${lease.secret_name} ${lease.client_id}`, lease.id]))
  tally.count("one lease a pair", held.size === leases.length)
  for (const [pair, id] of answered) {
    // The last answer may not have arrived; its lease replaced the one before.
    tally.count("answered lease", held.get(pair) === id || (unsure.has(pair) && held.has(pair)))
  }
}
