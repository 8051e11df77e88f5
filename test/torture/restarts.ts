/**
 * Restarts under callers that run commands as scripts do, without retries of their own. The
 * daemon ends in order or by kill -9 and starts again after a pause, as under a supervisor.
 */
import * as fs from "node:fs"
import { Client } from "../harness/connection.ts"
import { launch, type Target, untilReady } from "../harness/daemon.ts"
import { type Ended, pause, start } from "../harness/program.ts"
import { temporaryHome } from "../support/temporary.ts"
import type { Scenario, ScenarioOptions, Row } from "./Scenario.ts"

const callers = 8
/** Seconds without a daemon; less than a command waits for it by default. */
const minDowntime = 0.1
const maxDowntime = 2.5
/** How many seconds a command waits for the daemon by default. */
const usual = 3.5
/** As many at least: a slow start of its process takes up to one of them. */
const leastWait = 2.7

const value = "made-up"

/** The commands that callers run in turn, and the expected standard output. `status` does not wait, so it may report the restart. */
const lines: ReadonlyArray<readonly [line: string, expected: RegExp]> = [
  ["lease db", new RegExp(`^${value}$`)],
  ["status", /^running since /],
  ["list", /^NAME /],
  ["leases", /^CLIENT |^no /],
  ["lease db --json", /"ok": true/],
  ["revoke LEASE", /^revoked /],
  ["revoke --client CLIENT", /^revoked \d+ leases?$/m],
  ["health", /^\d+ secrets?, /],
  ["audit --tail 1", /^TIME /],
  ["update CLIENT --value x", /^updated /],
  ["status --wait SECONDSs", /^running since /],
  ["status --metrics", /^# HELP /]
]

interface Seen {
  readonly tried: Map<string, number>
  readonly failed: Array<string>
  longest: number
  isRunning: boolean
  /** When a daemon ended, and when the next one was ready: no command waits for ever. */
  readonly outages: Array<{ readonly gone: number; back?: number }>
  late: number
}

/** Returns for how many milliseconds between two times there was no daemon. */
const awayBetween = ({ outages }: Seen, begun: number, ended: number): number =>
  outages.reduce((sum, { back = ended, gone }) => sum + Math.max(0, Math.min(back, ended) - Math.max(gone, begun)), 0)

/** Runs the commands over and over; every caller starts with a different one. */
const call = async (home: string, number: number, seen: Seen, seconds: number): Promise<void> => {
  const client = `c${number}`
  let lease = ""
  for (let at = number; seen.isRunning; at += 1) {
    const [line = "", expected = /^/] = lines[at % lines.length] ?? []
    if (line.includes("LEASE") && lease === "") continue
    const words = line
      .split(" ")
      .map((word) => ({ LEASE: lease, CLIENT: client, SECONDSs: `${2 * seconds}s` })[word] ?? word)
    if (line.startsWith("lease ")) words.push("--client-id", client)
    if (seconds !== usual) words.push("--timeout", String(seconds))
    const begun = performance.now()
    const ended = await start(words, { home }).ended
    const took = Math.round(performance.now() - begun)
    seen.longest = Math.max(seen.longest, took)
    seen.tried.set(words[0] ?? "", (seen.tried.get(words[0] ?? "") ?? 0) + 1)
    if (!isGood(ended, expected)) {
      const away = awayBetween(seen, begun, performance.now())
      if (words[0] === "status" && !words.includes("--wait") && reportsRestart(ended)) continue
      if (ended.status === 3 && away > (seconds === usual ? leastWait : seconds) * 1000) seen.late += 1
      else
        seen.failed.push(
          `${words.join(" ")}, in ${took} ms, ${Math.round(away)} of them without a daemon: ${JSON.stringify(ended)}`
        )
    } else if (line.includes("--json")) lease = JSON.parse(ended.stdout).result.lease_id
    else if (line.startsWith("revoke") || line.startsWith("lease ")) lease = ""
  }
}

const isGood = ({ status, stderr, stdout }: Ended, expected: RegExp) =>
  status === 0 && stderr === "" && expected.test(stdout)

const reportsRestart = ({ status, stderr, stdout }: Ended) =>
  status === 3 &&
  stdout === "" &&
  /^secrets status: (the daemon is not running|process \d+ runs, but its socket is )/.test(stderr)

/** Restarts in order and by kill -9 in turn, and returns the results of the commands, which wait so many seconds. */
export const restartRounds = async (
  { random, rounds, log }: ScenarioOptions,
  downtime = { least: minDowntime, most: maxDowntime },
  seconds = usual
): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const seen: Seen = { tried: new Map(), failed: [], longest: 0, isRunning: true, outages: [], late: 0 }
  const statuses: Array<number | null> = []
  const working: Array<Promise<void>> = []
  let daemon: Target | undefined
  let longestDowntime = 0
  try {
    daemon = await begin(home)
    for (let at = 0; at < callers; at += 1) working.push(call(home, at, seen, seconds))
    for (let round = 0; round < rounds; round += 1) {
      const enough = sum(seen.tried) + 1 + random.below(2 * callers)
      while (sum(seen.tried) < enough) await pause(5)
      const outage: Seen["outages"][number] = { gone: performance.now() }
      seen.outages.push(outage)
      const { status } = await daemon.end(round % 2 === 0 ? "SIGTERM" : "SIGKILL")
      if (round % 2 === 0) statuses.push(status)
      await pause(1000 * (downtime.least + random.next() * (downtime.most - downtime.least)))
      daemon = await untilReady(launch({ home }))
      outage.back = performance.now()
      longestDowntime = Math.max(longestDowntime, outage.back - outage.gone)
      if ((round + 1) % 10 === 0) log(`${round + 1} restarts, ${sum(seen.tried)} commands`)
    }
  } finally {
    seen.isRunning = false
    await Promise.all(working)
    await daemon?.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
  for (const line of new Set(seen.failed)) log(line)
  const kinds = [...seen.tried].map(([name, times]) => `${times} ${name}`).join(", ")
  return [
    {
      what: `commands that failed, over ${rounds} restarts`,
      tried: sum(seen.tried),
      failed: seen.failed.length,
      stats: `${seen.late} more came while the daemon was away for longer than they wait, longest ${seen.longest} ms, downtime up to ${Math.round(longestDowntime)} ms; ${kinds}`
    },
    {
      what: "orderly ends with another exit status",
      tried: statuses.length,
      failed: statuses.filter((status) => status !== 0).length
    }
  ]
}

/** Starts the first daemon, with the secrets of the callers. */
const begin = async (home: string): Promise<Target> => {
  const daemon = await untilReady(launch({ home }))
  const client = new Client(daemon.socket)
  await client.ask("add", { name: "db", value })
  for (let at = 0; at < callers; at += 1) await client.ask("add", { name: `c${at}`, value: "x" })
  client.close()
  return daemon
}

const sum = (counts: ReadonlyMap<string, number>) => [...counts.values()].reduce((all, count) => all + count, 0)

export const scenario: Scenario = {
  promise: "no command fails because the daemon is being restarted",
  rounds: 20,
  run: restartRounds
}
