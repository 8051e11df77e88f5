/**
 * Restarts a socket-activated daemon, in order and by kill -9, under callers that open a
 * new connection for each lease and never retry.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import { runningPid, supervise } from "../support/supervisor.ts"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"
import { answers, Client } from "../harness/connection.ts"
import { pause } from "../harness/program.ts"
import { temporaryHome } from "../support/temporary.ts"

const callers = 8
/** Milliseconds; only a hang takes as long. */
const timeout = 120_000

/** What the callers received. */
class Observed {
  answers = 0
  readonly refused: Array<string> = []
  /** Connections that ended without an answer, by how the daemon was being ended. */
  readonly cutOff = { "in order": 0, "by kill -9": 0 }
  ending: keyof Observed["cutOff"] = "in order"
  readonly unexpected: Array<string> = []
  longest = 0
  isRunning = true
}

type Outcome = { readonly line: string } | { readonly failed: string } | "cut off"

/** Requests one lease on a new connection. */
const once = (socket: string, client: string): Promise<Outcome> =>
  new Promise((resolve) => {
    let text = ""
    let connected = false
    const connection = net.connect({ path: socket })
    const end = (outcome: Outcome) => {
      clearTimeout(timer)
      connection.destroy()
      resolve(outcome)
    }
    const timer = setTimeout(() => end({ failed: `no answer in ${timeout} ms` }), timeout)
    connection.once("connect", () => {
      connected = true
      const params = { secret_name: "db", client_id: client, ttl: "1h" }
      connection.write(`${JSON.stringify({ jsonrpc: "2.0", method: "secrets.lease", params, id: 1 })}\n`)
    })
    connection.on("data", (piece) => {
      text += piece
      if (text.endsWith("\n")) end({ line: text })
    })
    connection.once("close", () => end("cut off"))
    connection.once("error", (fault: NodeJS.ErrnoException) => {
      end(connected ? "cut off" : { failed: fault.code ?? fault.message })
    })
  })

const call = async (socket: string, client: string, observed: Observed): Promise<void> => {
  while (observed.isRunning) {
    const begun = performance.now()
    const outcome = await once(socket, client)
    observed.longest = Math.max(observed.longest, performance.now() - begun)
    if (outcome === "cut off") observed.cutOff[observed.ending] += 1
    else if ("failed" in outcome) observed.refused.push(outcome.failed)
    else if (JSON.parse(outcome.line).result?.value === "made-up") observed.answers += 1
    else observed.unexpected.push(outcome.line)
  }
}

/** Waits for the next daemon and its first answer, and returns its pid. */
const successor = async (directory: string, socket: string, before: number | undefined): Promise<number> => {
  // The connection waits in the backlog with all others until the next daemon accepts it.
  while (!(await answers(socket, timeout)));
  while (runningPid(directory) === undefined || runningPid(directory) === before) await pause(5)
  return runningPid(directory) ?? 0
}

/** Restarts in order and by kill -9 in turn, and returns what the callers observed. */
export const activationRounds = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const supervisor = await supervise({ home })
  const { directory, socket } = supervisor
  const observed = new Observed()
  const working: Array<Promise<void>> = []
  try {
    let pid = await successor(directory, socket, undefined)
    const client = new Client(socket)
    await client.ask("add", { name: "db", value: "made-up" })
    client.close()
    for (let at = 0; at < callers; at += 1) working.push(call(socket, `c${at}`, observed))
    for (let round = 0; round < rounds; round += 1) {
      const enough = observed.answers + 1 + random.below(60)
      while (observed.answers < enough && observed.refused.length + observed.unexpected.length === 0) await pause(1)
      const inOrder = round % 2 === 0
      observed.ending = inOrder ? "in order" : "by kill -9"
      process.kill(pid, inOrder ? "SIGTERM" : "SIGKILL")
      pid = await successor(directory, socket, pid)
      if ((round + 1) % 10 === 0) log(`${round + 1} restarts, ${observed.answers} answers`)
    }
  } finally {
    observed.isRunning = false
    await Promise.all(working)
    const statuses = await supervisor.end()
    if (statuses.some((status) => status !== "0" && status !== "137"))
      observed.unexpected.push(`exit statuses ${statuses}`)
    fs.rmSync(home, { recursive: true, force: true })
  }
  for (const line of new Set([...observed.refused, ...observed.unexpected])) log(line)
  const tried = observed.answers + observed.refused.length + observed.cutOff["in order"] + observed.cutOff["by kill -9"]
  return [
    {
      what: "connections refused",
      tried,
      failed: observed.refused.length,
      stats: `longest wait ${Math.round(observed.longest)} ms`
    },
    {
      what: "connections cut off by an orderly restart",
      tried: Math.ceil(rounds / 2),
      failed: observed.cutOff["in order"]
    },
    {
      what: "answers without a lease",
      tried: observed.answers,
      failed: observed.unexpected.length,
      stats: `${observed.cutOff["by kill -9"]} cut off by ${Math.floor(rounds / 2)} kill -9`
    }
  ]
}

export const scenario: Scenario = {
  promise: "no caller is refused while the supervisor holds the socket, and no orderly restart cuts one off",
  rounds: 20,
  run: activationRounds
}
