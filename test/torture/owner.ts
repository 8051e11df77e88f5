/**
 * Several daemons are started in the same moment, on one directory or, from
 * directories of their own, on one socket; the one that serves is killed, and
 * whatever it left is there for the next round.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { isReady } from "../harness/daemon.ts"
import { type Ended, pause, start, type Started } from "../harness/program.ts"
import type { Scenario, Row } from "./Scenario.ts"

/** What the daemons of one round have in common. */
export const contests = ["directory", "socket"] as const
export type Contest = (typeof contests)[number]

export interface Round {
  /** Everything that was not as it has to be. */
  readonly faults: ReadonlyArray<string>
  /** Milliseconds from the start to the moment one of them serves: the time of a take-over. */
  readonly servingAfter: number
}

/** Longer than any start takes on a busy machine. */
const patience = 20_000
/** Only Linux tells who holds a lock; elsewhere a name may be missing. */
const isNamed = process.platform === "linux"

/** One round: `count` starts, one of which must serve; that one is killed at the end. */
export const race = async (home: string, contest: Contest, count: number): Promise<Round> => {
  const socket = path.join(home, "s.sock")
  const began = performance.now()
  const started = Array.from({ length: count }, (_, n) => {
    const config = path.join(home, `${contest}-${n}.json`)
    fs.writeFileSync(
      config,
      JSON.stringify({ directory: path.join(home, contest === "socket" ? `state-${n}` : "state") })
    )
    return start(["serve", "--config", config, "--socket", socket], { home })
  })
  try {
    const ends = new Map<Started, Ended>()
    for (const one of started) void one.ended.then((how) => ends.set(one, how))
    const isOver = () => ends.size >= count - 1 && started.every((one) => ends.has(one) || isReady(one))
    const deadline = began + patience
    let servingAfter = patience
    while (!isOver() && ends.size < count && performance.now() < deadline) {
      await pause(5)
      if (servingAfter === patience && started.some(isReady)) servingAfter = performance.now() - began
    }
    return { servingAfter, faults: await faultsOf(started, ends, socket) }
  } finally {
    for (const { child } of started) child.kill("SIGKILL")
    await Promise.all(started.map(({ ended }) => ended))
  }
}

const faultsOf = async (started: ReadonlyArray<Started>, ends: ReadonlyMap<Started, Ended>, socket: string) => {
  const faults: Array<string> = []
  const alive = started.filter((one) => !ends.has(one))
  const [winner] = alive
  if (alive.length !== 1 || winner === undefined) faults.push(`${alive.length} daemons are alive`)
  for (const { status, stderr } of ends.values()) {
    if (status !== 75) faults.push(`a start ended with ${status}: ${stderr}`)
    else if (isNamed && !new RegExp(`process ${winner?.child.pid}\\b`).test(stderr)) {
      faults.push(`the owner is ${winner?.child.pid}, and the refusal says: ${stderr}`)
    }
  }
  if (winner !== undefined && !(await answers(socket))) faults.push("nobody answers on the socket")
  return faults
}

const answers = (socketPath: string): Promise<boolean> =>
  new Promise((resolve) => {
    const connection = net.connect({ path: socketPath })
    const end = (answered: boolean) => {
      connection.destroy()
      resolve(answered)
    }
    connection.setTimeout(5_000, () => end(false))
    connection.once("error", () => end(false))
    connection.once("data", () => end(true))
    connection.write('{"method":"secrets.status","id":1}\n')
  })

export const scenario: Scenario = {
  promise: "of several daemons started at once exactly one serves, and the others name it",
  rounds: 40,
  run: async ({ random, rounds, log }) => {
    const rows: Array<Row> = []
    for (const contest of contests) {
      const home = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-"))
      const times: Array<number> = []
      let failed = 0
      try {
        for (let round = 0; round < rounds; round += 1) {
          const { faults, servingAfter } = await race(home, contest, 2 + random.below(3))
          times.push(servingAfter)
          if (faults.length > 0) failed += 1
          for (const fault of faults) log(`round ${round}, one ${contest}: ${fault}`)
        }
      } finally {
        fs.rmSync(home, { recursive: true, force: true })
      }
      const sorted = times.toSorted((one, other) => one - other)
      const [median, longest] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)].map((ms) => Math.round(ms ?? 0))
      rows.push({
        what: `starts on one ${contest}`,
        tried: rounds,
        failed,
        stats: `one serves after ${median} ms, at most ${longest} ms`
      })
    }
    return rows
  }
}
