/**
 * Starts several daemons at the same moment, on one directory or on one socket. The one
 * that becomes ready is killed, and the next round starts on the files it left.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { answers } from "../harness/connection.ts"
import { isReady } from "../harness/daemon.ts"
import { type Ended, pause, start, type Started } from "../harness/program.ts"
import { median } from "../harness/quantile.ts"
import { temporaryHome } from "../support/temporary.ts"
import type { Row, Scenario } from "./Scenario.ts"

/** What the daemons of one round share. */
export const contests = ["directory", "socket"] as const
export type Contest = (typeof contests)[number]

export interface Round {
  /** Every broken promise. */
  readonly faults: ReadonlyArray<string>
  /** Milliseconds from the start until one of them is ready. */
  readonly readyAfter: number
}

/** Milliseconds; only a hang takes as long. */
const timeout = 120_000
/** Only Linux reports who holds a lock; elsewhere the message may lack the pid. */
const isNamed = process.platform === "linux"

/** Runs one round: `count` starts, exactly one of which must become ready. Kills all of them at the end. */
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
    const deadline = began + timeout
    let readyAfter = timeout
    while (!isOver() && ends.size < count && performance.now() < deadline) {
      await pause(5)
      if (readyAfter === timeout && started.some(isReady)) readyAfter = performance.now() - began
    }
    return { readyAfter, faults: await faultsOf(started, ends, socket) }
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
      faults.push(`the owner is ${winner?.child.pid}, but the error is: ${stderr}`)
    }
  }
  if (winner !== undefined && !(await answers(socket))) faults.push("no answer on the socket")
  return faults
}

export const scenario: Scenario = {
  promise: "of several daemons started at once exactly one serves, and the others name it",
  rounds: 40,
  run: async ({ random, rounds, log }) => {
    const rows: Array<Row> = []
    for (const contest of contests) {
      const home = temporaryHome()
      const times: Array<number> = []
      let failed = 0
      try {
        for (let round = 0; round < rounds; round += 1) {
          const { faults, readyAfter } = await race(home, contest, 2 + random.below(3))
          times.push(readyAfter)
          if (faults.length > 0) failed += 1
          for (const fault of faults) log(`round ${round}, one ${contest}: ${fault}`)
        }
      } finally {
        fs.rmSync(home, { recursive: true, force: true })
      }
      rows.push({
        what: `starts on one ${contest}`,
        tried: rounds,
        failed,
        stats: `one is ready after ${Math.round(median(times))} ms, at most ${Math.round(Math.max(...times))} ms`
      })
    }
    return rows
  }
}
