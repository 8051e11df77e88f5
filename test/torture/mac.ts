/**
 * A Mac's ways on Linux: flushes of 20 ms, connections that are refused when the queue is full,
 * launchctl's answers, and the HOME of another user. Runs the main files of the e2e suite under
 * the first two, and the plan of the check on a Mac under a fake launchctl.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { Client } from "../harness/connection.ts"
import { launch, untilReady } from "../harness/daemon.ts"
import { buildMacShim, macFlush, macVariables } from "../harness/macShim.ts"
import { start } from "../harness/program.ts"
import { isPrompt } from "../harness/prompt.ts"
import { temporaryHome } from "../support/temporary.ts"
import { launchdRows } from "./mac/launchdRows.ts"
import type { Row, Scenario, ScenarioOptions } from "./Scenario.ts"

/** The files of the e2e suite whose outcome depends on the disk or the socket. */
const suite =
  "abuse activation audit callers command crashLoop directory durability emergency env exec files foreignFiles incident operations restarts roles scan signals start trust wire"

export const scenario: Scenario = {
  promise: `with ${macFlush} ms a flush, 191 waiting connections and launchctl's answers, all of it works`,
  rounds: 3,
  run: async (options) => {
    const place = temporaryHome()
    const library = buildMacShim(place)
    const rows: Array<Row> = []
    try {
      for (const name of process.env["PARTS"]?.split(",") ?? Object.keys(parts)) {
        rows.push(...((await parts[name]?.(options, library)) ?? []))
      }
      return rows
    } finally {
      fs.rmSync(place, { recursive: true, force: true })
    }
  }
}

type Part = (options: ScenarioOptions, library: string | undefined) => Promise<ReadonlyArray<Row>>

/** A part that needs the library. */
const withLibrary =
  (part: (library: string, options: ScenarioOptions) => Promise<ReadonlyArray<Row>>): Part =>
  async (options, library) =>
    library === undefined
      ? [{ what: "not tried: slow flushes and short queues need Linux and cc", tried: 0, failed: 0 }]
      : part(library, options)

const workers = 56

/** Leases at once, and a stop directly afterwards, against their limits. */
const leaseAndStop = async (library: string, { log, rounds }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const rows = { leased: [] as Array<number>, stopped: [] as Array<number> }
  const late = { leased: 0, stopped: 0 }
  for (let round = 0; round < rounds; round += 1) {
    const home = temporaryHome()
    const target = await untilReady(launch({ home, env: macVariables(library) }))
    const clients = Array.from({ length: workers }, () => new Client(target.socket))
    await clients[0]?.ask("add", { name: "db", value: "made-up" })
    const timed = async (what: keyof typeof rows, limit: number, work: Promise<unknown>): Promise<void> => {
      const from = performance.now()
      await work
      const took = performance.now() - from
      rows[what].push(took)
      if (await isPrompt(took, limit)) return
      late[what] += 1
      log(`round ${round}: ${what} after ${Math.round(took)} ms`)
    }
    const leases = clients.map((client, n) => client.ask("lease", { secret_name: "db", client_id: `c${n}` }))
    await timed("leased", 1_000, Promise.all(leases))
    await timed("stopped", 2_000, target.end("SIGTERM"))
    fs.rmSync(home, { recursive: true, force: true })
  }
  const row = (what: keyof typeof rows, text: string): Row => ({
    what: text,
    tried: rounds,
    failed: late[what],
    stats: `slowest ${Math.round(Math.max(...rows[what]))} ms`
  })
  return [row("leased", `${workers} leases at once within a second`), row("stopped", "a stop within two seconds")]
}

/** Commands beside more connections at once than the queue holds. */
const crowd = async (library: string, { log, rounds }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const home = temporaryHome()
  const env = macVariables(library)
  const target = await untilReady(launch({ home, env }))
  let failed = 0
  let refused = 0
  try {
    const client = new Client(target.socket)
    await client.ask("add", { name: "db", value: "made-up" })
    const probe = path.join(import.meta.dirname, "../../scripts/macProbes.ts")
    for (let round = 0; round < rounds; round += 1) {
      const line = `for n in 1 2 3; do '${process.execPath}' '${probe}' connections 600 '${target.socket}'; done`
      const flood = start([], { home, env, through: line })
      const command = await start(["lease", "db"], { home, env }).ended
      refused += [...(await flood.ended).stdout.matchAll(/^ECONNREFUSED: (\d+)$/gm)].reduce(
        (sum, [, n]) => sum + Number(n),
        0
      )
      if (command.status === 0 && command.stdout === "made-up") continue
      failed += 1
      log(`a lease among 600 connections: ${command.status} ${command.stderr}`)
    }
    client.close()
  } finally {
    await target.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
  return [{ what: "a command among 600 connections", tried: rounds, failed, stats: `${refused} of them refused` }]
}

/** Commands with the HOME of another user, which sudo keeps on a Mac. */
const foreignHome: Part = async ({ log }) => {
  const what = "commands with the HOME of another user"
  if (process.getuid?.() !== 0) return [{ what: `${what}: not tried, needs root`, tried: 0, failed: 0 }]
  const home = temporaryHome()
  fs.chownSync(home, 1_000, 1_000)
  const lines = [["init"], ["serve"], ["daemon", "install"]]
  let failed = 0
  for (const words of lines) {
    const { status, stderr } = await start(words, { home }).ended
    if (status !== 0 && fs.readdirSync(home).length === 0) continue
    failed += 1
    log(`${words.join(" ")}: ${status} ${stderr}`)
  }
  fs.rmSync(home, { recursive: true, force: true })
  return [{ what, tried: lines.length, failed }]
}

/** Runs the files of the e2e suite with the library; one row for each. */
const suiteRows = async (library: string, { log }: ScenarioOptions): Promise<ReadonlyArray<Row>> => {
  const root = path.join(import.meta.dirname, "../..")
  const report = path.join(path.dirname(library), "report.json")
  const files = suite.split(" ").map((name) => `test/e2e/${name}.test.ts`)
  const vitest = path.join(root, "node_modules/vitest/vitest.mjs")
  const reporter = ["--reporter=json", `--outputFile=${report}`]
  spawnSync(process.execPath, [vitest, "run", "--project", "e2e", ...reporter, ...files], {
    cwd: root,
    env: { ...process.env, MAC_SHIM: library },
    stdio: "ignore"
  })
  const { testResults }: { readonly testResults: ReadonlyArray<any> } = JSON.parse(fs.readFileSync(report, "utf8"))
  return testResults.map(({ assertionResults, message, name }): Row => {
    const failures = assertionResults.filter(({ status }: any) => status === "failed")
    for (const { failureMessages, fullName } of failures) log(`${fullName}: ${failureMessages[0]?.split("\n")[0]}`)
    if (assertionResults.length === 0) log(`${name}: ${message}`)
    return {
      what: path.relative(root, name),
      tried: assertionResults.length,
      failed: assertionResults.length === 0 ? 1 : failures.length
    }
  })
}

/** PARTS=time,queue chooses some. */
const parts: Readonly<Record<string, Part>> = {
  time: withLibrary(leaseAndStop),
  queue: withLibrary(crowd),
  home: foreignHome,
  launchd: launchdRows,
  suite: withLibrary(suiteRows)
}
