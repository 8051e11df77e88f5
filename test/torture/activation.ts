/**
 * Restarts, in order and by kill -9, of a daemon whose socket the supervisor holds,
 * under callers that take a new connection for each lease and never try twice.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import { runningPid, supervise } from "../support/supervisor.ts"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"
import { Client } from "../harness/connection.ts"
import { pause } from "../harness/program.ts"
import { temporaryHome } from "../support/temporary.ts"

const callers = 8
/** Longer than any restart; a caller that waits so long has been forgotten. */
const patience = 20_000

/** What the callers saw. */
class Heard {
  answers = 0
  readonly refused: Array<string> = []
  /** Connections that ended without an answer, by how the daemon was ended at the time. */
  readonly cutOff = { "in order": 0, "by kill -9": 0 }
  ending: keyof Heard["cutOff"] = "in order"
  readonly strange: Array<string> = []
  longest = 0
  goesOn = true
}

type Came = { readonly line: string } | { readonly failed: string } | "cut off"

/** One lease on a connection of its own. */
const once = (socket: string, client: string): Promise<Came> =>
  new Promise((resolve) => {
    let text = ""
    let connected = false
    const connection = net.connect({ path: socket })
    const end = (came: Came) => {
      clearTimeout(timer)
      connection.destroy()
      resolve(came)
    }
    const timer = setTimeout(() => end({ failed: `no answer in ${patience} ms` }), patience)
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

const call = async (socket: string, client: string, heard: Heard): Promise<void> => {
  while (heard.goesOn) {
    const begun = performance.now()
    const came = await once(socket, client)
    heard.longest = Math.max(heard.longest, performance.now() - begun)
    if (came === "cut off") heard.cutOff[heard.ending] += 1
    else if ("failed" in came) heard.refused.push(came.failed)
    else if (JSON.parse(came.line).result?.value === "made-up") heard.answers += 1
    else heard.strange.push(came.line)
  }
}

/** Waits for another daemon than that one, and for its first answer. */
const successor = async (directory: string, socket: string, before: number | undefined): Promise<number> => {
  // In line with all others: it is answered when the next daemon is there.
  for (let answered = false; !answered;) {
    const client = new Client(socket)
    answered = (await client.ask("status", {}))?.result !== undefined
    client.close()
  }
  while (runningPid(directory) === undefined || runningPid(directory) === before) await pause(5)
  return runningPid(directory) ?? 0
}

/** Every other restart is in order; gives what callers saw of them. */
export const activationRounds = async ({ random, rounds, log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const supervisor = await supervise({ home })
  const { directory, socket } = supervisor
  const heard = new Heard()
  const working: Array<Promise<void>> = []
  try {
    let pid = await successor(directory, socket, undefined)
    const client = new Client(socket)
    await client.ask("add", { name: "db", value: "made-up" })
    client.close()
    for (let at = 0; at < callers; at += 1) working.push(call(socket, `c${at}`, heard))
    for (let round = 0; round < rounds; round += 1) {
      await pause(50 + random.below(150))
      const inOrder = round % 2 === 0
      heard.ending = inOrder ? "in order" : "by kill -9"
      process.kill(pid, inOrder ? "SIGTERM" : "SIGKILL")
      pid = await successor(directory, socket, pid)
      if ((round + 1) % 10 === 0) log(`${round + 1} restarts, ${heard.answers} answers`)
    }
  } finally {
    heard.goesOn = false
    await Promise.all(working)
    const statuses = await supervisor.end()
    if (statuses.some((status) => status !== "0" && status !== "137")) heard.strange.push(`exit statuses ${statuses}`)
    fs.rmSync(home, { recursive: true, force: true })
  }
  for (const line of new Set([...heard.refused, ...heard.strange])) log(line)
  const tried = heard.answers + heard.refused.length + heard.cutOff["in order"] + heard.cutOff["by kill -9"]
  return [
    {
      what: "connections refused",
      tried,
      failed: heard.refused.length,
      stats: `longest wait ${Math.round(heard.longest)} ms`
    },
    {
      what: "connections cut off by an orderly restart",
      tried: Math.ceil(rounds / 2),
      failed: heard.cutOff["in order"]
    },
    {
      what: "answers that are no lease",
      tried: heard.answers,
      failed: heard.strange.length,
      stats: `${heard.cutOff["by kill -9"]} cut off by ${Math.floor(rounds / 2)} kill -9`
    }
  ]
}

export const scenario: Scenario = {
  promise: "no caller is refused while the supervisor holds the socket, and none is cut off by an orderly restart",
  rounds: 20,
  run: activationRounds
}
