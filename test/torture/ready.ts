/**
 * A client that tries to connect without a pause from the moment the daemon is
 * started: the first connection that is let in is answered, after an orderly end as
 * after kill -9. And how long that takes with five thousand leases.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import { Connection } from "../harness/connection.ts"
import { launch, type Target, untilReady } from "../harness/daemon.ts"
import { pause } from "../harness/program.ts"
import { temporaryHome } from "../support/temporary.ts"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"

const leases = 5_000

const request = (method: string, params: object) =>
  `${JSON.stringify({ jsonrpc: "2.0", method: `secrets.${method}`, params, id: 1 })}\n`

const fill = async (target: Target, count: number): Promise<void> => {
  const connection = new Connection(target.socket)
  connection.send(request("add", { name: "db", value: "made-up" }))
  for (let n = 0; n < count; n += 1) {
    connection.send(request("lease", { secret_name: "db", client_id: `c${n}`, ttl: "24h" }))
  }
  for (let n = 0; n <= count; n += 1) await connection.line()
  connection.socket.destroy()
}

/** What a first connection brings: an answer, nothing, or no connection at all. */
const knock = (socket: string): Promise<"answered" | "let in and not answered" | "not let in"> =>
  new Promise((resolve) => {
    let isIn = false
    const connection = net.connect({ path: socket })
    connection.once("connect", () => {
      isIn = true
      connection.write(request("status", {}))
    })
    connection.once("data", () => {
      resolve("answered")
      connection.destroy()
    })
    connection.on("error", () => undefined)
    connection.once("close", () => resolve(isIn ? "let in and not answered" : "not let in"))
  })

/** Starts, knocks and ends, every other time by kill -9. */
export const readyRounds = async (
  { rounds, log }: ScenarioOptions,
  leaseCount = leases
): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const took: Array<number> = []
  let failed = 0
  try {
    const first = await untilReady(launch({ home }))
    await fill(first, leaseCount)
    await first.end("SIGTERM")
    for (let round = 0; round < rounds; round += 1) {
      const begun = performance.now()
      const target = launch({ home })
      let came = await knock(target.socket)
      while (came === "not let in") {
        await pause(1)
        came = await knock(target.socket)
      }
      took.push(performance.now() - begun)
      if (came !== "answered") {
        failed += 1
        log(`round ${round}: the first connection was ${came}`)
      }
      await target.end(round % 2 === 0 ? "SIGKILL" : "SIGTERM")
    }
  } finally {
    fs.rmSync(home, { recursive: true, force: true })
  }
  const sorted = took.toSorted((one, other) => one - other)
  const at = (part: number) => Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? 0)
  return [
    {
      what: "first connections that were not answered",
      tried: rounds,
      failed,
      stats: `from the start to the first answer: median ${at(0.5)} ms, longest ${at(1)} ms, with ${leaseCount} leases`
    }
  ]
}

export const scenario: Scenario = {
  promise: "the first connection that a starting daemon lets in is answered",
  rounds: 20,
  run: (options) => readyRounds(options)
}
