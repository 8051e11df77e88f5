/**
 * A client that tries to connect from the moment the daemon is started. The first accepted
 * connection must be answered, after an orderly end and after kill -9. Measures the time to
 * the first answer with five thousand leases.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import { Connection } from "../harness/connection.ts"
import { launch, type Target, untilReady } from "../harness/daemon.ts"
import { pause } from "../harness/program.ts"
import { median } from "../harness/quantile.ts"
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

/** Tries one connection with one request. */
const tryOnce = (socket: string): Promise<"answered" | "accepted and not answered" | "not accepted"> =>
  new Promise((resolve) => {
    let isAccepted = false
    const connection = net.connect({ path: socket })
    connection.once("connect", () => {
      isAccepted = true
      connection.write(request("status", {}))
    })
    connection.once("data", () => {
      resolve("answered")
      connection.destroy()
    })
    connection.on("error", () => undefined)
    connection.once("close", () => resolve(isAccepted ? "accepted and not answered" : "not accepted"))
  })

/** Starts, connects and ends, every other time by kill -9. */
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
      let outcome = await tryOnce(target.socket)
      while (outcome === "not accepted") {
        await pause(1)
        outcome = await tryOnce(target.socket)
      }
      took.push(performance.now() - begun)
      if (outcome !== "answered") {
        failed += 1
        log(`round ${round}: the first connection was ${outcome}`)
      }
      await target.end(round % 2 === 0 ? "SIGKILL" : "SIGTERM")
    }
  } finally {
    fs.rmSync(home, { recursive: true, force: true })
  }
  return [
    {
      what: "first connections without an answer",
      tried: rounds,
      failed,
      stats: `from the start to the first answer: median ${Math.round(median(took))} ms, at most ${Math.round(Math.max(...took))} ms, with ${leaseCount} leases`
    }
  ]
}

export const scenario: Scenario = {
  promise: "the first connection that a starting daemon accepts is answered",
  rounds: 20,
  run: (options) => readyRounds(options)
}
