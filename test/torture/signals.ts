/**
 * Signals at random, from before the first statement of the program to its end, at a
 * daemon that several connections keep busy.
 *
 * A round starts a daemon on what the one before left, signals it while it starts
 * and while it works, and ends it: in order, or by SIGKILL. Nothing may open it,
 * nothing but SIGTERM, SIGINT and SIGKILL may end it once it serves, every lease that
 * was answered must be there afterwards, and an end in order must be one.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { listeningPorts } from "../support/inside.ts"
import { Connection, invocation, survivedHere } from "../harness/program.ts"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"

const clients = 4
const secrets = 8
/** Until node has taken the signals over, they end it: the operating system does that, and a supervisor starts it again. */
const beforeNode = 60

export const scenario: Scenario = {
  promise: "no signal opens the daemon, none but TERM, INT and KILL ends it, and no answered lease is lost",
  rounds: 60,
  run: async (options) => {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-signals-"))
    const tally = new Tally()
    let last: ChildProcess | undefined
    try {
      await addSecrets(home)
      for (let round = 0; round < options.rounds; round += 1) {
        await playRound(home, options, tally, (child) => (last = child))
        if (round % 10 === 9) options.log(`${round + 1} rounds, slowest start ${tally.slowestStart.toFixed(0)} ms`)
      }
    } finally {
      last?.kill("SIGKILL")
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
  started: (child: ChildProcess) => void
): Promise<void> => {
  const directory = path.join(home, ".agent-secrets")
  const { child, ended } = await startUnderFire(home, random.below(beforeNode), tally, started)
  const pid = child.pid ?? 0
  const connections = Array.from({ length: clients }, () => new Connection(socketIn(home)))
  const answered = new Map<string, string>()
  const unsure = new Set<string>()
  const work = Promise.all(connections.map((connection, n) => keepBusy(connection, n, answered, unsure)))

  const signals = survivedHere
  for (let n = 0; n < 30; n += 1) {
    child.kill(random.pick(signals))
    if (random.below(3) === 0) await pause(random.below(4))
  }
  tally.count("signal under load", child.exitCode === null && child.signalCode === null && (await answers(home)))
  tally.count("debugger shut", listeningPorts(pid).length === 0)

  const inOrder = random.below(2) === 0
  const begun = performance.now()
  if (inOrder) {
    for (let n = 0; n <= random.below(10); n += 1) {
      child.kill(random.pick(["SIGTERM", "SIGINT"]))
      await pause(random.below(5))
    }
  } else {
    child.kill("SIGKILL")
  }
  const [status] = await ended
  await work
  if (inOrder) {
    tally.slowestEnd = Math.max(tally.slowestEnd, performance.now() - begun)
    const audit = fs.readFileSync(path.join(directory, "audit.log"), "utf8").trimEnd().split("\n")
    const recorded = JSON.parse(audit.at(-1) ?? "{}").action === "daemon_stop"
    tally.count("end in order", status === 0 && recorded && performance.now() - begun < 2000)
  }
  await compare(home, answered, unsure, tally)
}

const request = (method: string, params: object): string =>
  JSON.stringify({ jsonrpc: "2.0", method: `secrets.${method}`, params, id: 1 })

const socketIn = (home: string): string => path.join(home, ".agent-secrets", "agent-secrets.sock")

const addSecrets = async (home: string): Promise<void> => {
  const { child, ended, ready } = startDaemon(home, () => undefined)
  await ready
  const connection = new Connection(socketIn(home))
  for (let n = 0; n < secrets; n += 1) await connection.ask(request("add", { name: `s${n}`, value: `made-up ${n}` }))
  connection.socket.destroy()
  child.kill("SIGTERM")
  await ended
}

/** Starts a daemon and sends it SIGUSR1 meanwhile; starts again if that came before Node could hear it. */
const startUnderFire = async (
  home: string,
  delay: number,
  tally: Tally,
  started: (child: ChildProcess) => void
): Promise<{ readonly child: ChildProcess; readonly ended: Promise<Array<number | null>> }> => {
  const begun = performance.now()
  const { child, ended, ready } = startDaemon(home, started)
  await pause(delay)
  child.kill("SIGUSR1")
  if (!(await ready)) {
    tally.earlyDeaths += 1
    return startUnderFire(home, beforeNode * 2, tally, started)
  }
  tally.slowestStart = Math.max(tally.slowestStart, performance.now() - begun)
  tally.count("start under SIGUSR1", listeningPorts(child.pid ?? 0).length === 0)
  return { child, ended }
}

const startDaemon = (home: string, started: (child: ChildProcess) => void) => {
  const [command = "", ...words] = invocation
  const child = spawn(command, [...words, "serve"], {
    env: { HOME: home, PATH: "/usr/bin:/bin" },
    stdio: ["ignore", "ignore", "pipe"]
  })
  started(child)
  const ended: Promise<Array<number | null>> = once(child, "exit")
  const serves = new Promise<boolean>((resolve) => {
    let text = ""
    child.stderr.on("data", (piece) => {
      text += piece
      if (text.includes(" serves ")) resolve(true)
    })
  })
  return { child, ended, ready: Promise.race([serves, ended.then(() => false)]) }
}

/** Leases one secret after the other until the daemon ends. */
const keepBusy = async (
  connection: Connection,
  n: number,
  answered: Map<string, string>,
  unsure: Set<string>
): Promise<void> => {
  for (let turn = 0; ; turn += 1) {
    const params = { secret_name: `s${n + clients * (turn % (secrets / clients))}`, client_id: `c${n}`, ttl: "24h" }
    const pair = `${params.secret_name} ${params.client_id}`
    unsure.add(pair)
    const line = await connection.ask(request("lease", params))
    if (line === undefined) break
    const { result } = JSON.parse(line)
    if (result !== undefined) {
      answered.set(pair, result.lease_id)
      unsure.delete(pair)
    }
  }
  connection.socket.destroy()
}

const answers = async (home: string): Promise<boolean> => {
  const connection = new Connection(socketIn(home))
  const line = await connection.ask(request("status", {}))
  connection.socket.destroy()
  return line !== undefined && JSON.parse(line).result?.running === true
}

/** Starts once more and ends in order, for leases.json then says what a fresh daemon believes. */
const compare = async (
  home: string,
  answered: ReadonlyMap<string, string>,
  unsure: ReadonlySet<string>,
  tally: Tally
): Promise<void> => {
  const { child, ended, ready } = startDaemon(home, () => undefined)
  await ready
  child.kill("SIGTERM")
  await ended
  const leases: ReadonlyArray<any> =
    JSON.parse(fs.readFileSync(path.join(home, ".agent-secrets", "leases.json"), "utf8")) ?? []
  const held = new Map(leases.map((lease) => [`${lease.secret_name} ${lease.client_id}`, lease.id]))
  tally.count("one lease a pair", held.size === leases.length)
  for (const [pair, id] of answered) {
    // The last answer may not have arrived; the lease it told of replaced the one before.
    tally.count("answered lease", held.get(pair) === id || (unsure.has(pair) && held.has(pair)))
  }
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
