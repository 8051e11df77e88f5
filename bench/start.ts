/**
 * `npm run bench -- start`: the time of each command from the start of its process to its exit.
 * For the daemon, it ends when the daemon is ready. The floor, an empty Node, is part of every
 * round.
 *
 * The tables show processor time, from /proc, beside wall time. It hardly depends on the load
 * of the machine. dist/secrets is measured if `npm run build:binary` made it.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { Client } from "../test/harness/connection.ts"
import { launch, readyMarker, untilReady } from "../test/harness/daemon.ts"
import { pause, start as startProgram } from "../test/harness/program.ts"
import { median, quantile } from "../test/harness/quantile.ts"
import { binaryBudget, scriptBudget } from "../test/harness/startBudget.ts"
import { temporaryHome } from "../test/support/temporary.ts"
import { mebibytes, print, rounded } from "./stats.ts"
import { nodeOptions } from "./subject.ts"

const rounds = Number(process.env["ROUNDS"] ?? 25)
const node = process.execPath
const script = path.resolve("dist/secrets.mjs")
const binary = path.resolve("dist/secrets")

/** The smallest client in Node: one connection, one request, no flags, no settings. */
const plainClient = `
  const socket = require("node:net").connect(process.argv[1], () => socket.write(process.argv[2] + "\\n"))
  let text = ""
  socket.on("data", (piece) => {
    text += piece
    if (!text.includes("\\n")) return
    process.stdout.write(JSON.parse(text).result.value)
    socket.destroy()
  })`
const request = { jsonrpc: "2.0", method: "secrets.lease", params: { secret_name: "db", client_id: "plain" }, id: 1 }

const target = await untilReady(launch({ home: temporaryHome() }))
const client = new Client(target.socket)
await client.ask("add", { name: "db", value: "made up" })
fs.writeFileSync(path.join(target.home, ".secrets.json"), JSON.stringify({ secrets: [{ name: "db", env_var: "DB" }] }))

const helpers = { terraform: { "host.example": { secret: "db" } } }
fs.writeFileSync(path.join(target.home, ".agent-secrets/config.json"), JSON.stringify({ helpers }))

const allowed = await startProgram(["allow", target.home], { home: target.home }).ended
if (allowed.status !== 0) throw new Error(allowed.stderr)

/** A state directory that exists already, for the measured starts of daemons. */
const used = await untilReady(launch({ home: temporaryHome() }))
await used.end("SIGTERM")

interface Case {
  readonly name: string
  readonly line: () => Promise<ReadonlyArray<string>>
  /** The text on standard error that ends the measurement; undefined for the exit of the process. */
  readonly until?: string
}

const plain = (name: string, ...line: ReadonlyArray<string>): Case => ({ name, line: async () => line })

const lines =
  "lease db, helper print db, helper terraform get host.example, status, list, health, --version, audit --tail 3, rotate db, leases, status --wait 1s, env --file -, exec true, scan ., daemon status, --help, help, lease --help, completions bash, leese db"

/** Adds the V8 options that the service passes to Node. */
const withOptions = ([runtime = "", ...rest]: ReadonlyArray<string>): ReadonlyArray<string> =>
  runtime === node ? [runtime, ...nodeOptions, ...rest] : [runtime, ...rest]

const commandsOf = (title: string, program: ReadonlyArray<string>): ReadonlyArray<Case> => [
  ...lines.split(", ").map((words) => plain(`${title} ${words}`, ...program, ...words.split(" "))),
  {
    name: `${title} revoke`,
    line: async () => {
      const lease = await client.ask("lease", { secret_name: "db", client_id: "revoked" })
      return [...program, "revoke", lease?.result.lease_id]
    }
  },
  { ...plain(`${title} serve, until ready`, ...withOptions(program), "serve"), until: readyMarker }
]

const cases: ReadonlyArray<Case> = [
  plain("node -e 0", node, "-e", "0"),
  plain("a plain client in node", node, "-e", plainClient, target.socket, JSON.stringify(request)),
  ...commandsOf("secrets.mjs", [node, script]),
  ...(fs.existsSync(binary) ? commandsOf("binary", [binary]) : [])
]

/** Returns user and system time of the children that have ended, in milliseconds. A kernel tick is a hundredth of a second. */
const processorTime = (): number => {
  try {
    const fields = fs
      .readFileSync("/proc/self/stat", "utf8")
      .replace(/^.*\) /, "")
      .split(" ")
    return (Number(fields[13]) + Number(fields[14])) * 10
  } catch {
    return Number.NaN
  }
}

const once = async ({ line, until }: Case) => {
  const [command = "", ...args] = await line()
  const { home } = until === undefined ? target : used
  const processorBefore = processorTime()
  const from = performance.now()
  const child = spawn(command, args, {
    cwd: home,
    env: { HOME: home, PATH: "/usr/bin:/bin" },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const ended = new Promise<number>((resolve) => child.once("exit", () => resolve(performance.now())))
  const ready = new Promise<number>((resolve) =>
    child.stderr.on("data", (piece) => {
      if (until !== undefined && String(piece).includes(until)) resolve(performance.now())
    })
  )
  child.stdout.resume()
  const wall = (await Promise.race([ended, ready])) - from
  child.kill("SIGTERM")
  await ended
  return { wall, processor: processorTime() - processorBefore }
}

const measured = new Map(cases.map(({ name }) => [name, { walls: [] as number[], processor: 0 }]))
// The first round reads the files from the disk and does not count.
for (let round = -1; round < rounds; round += 1) {
  for (const one of cases) {
    const { processor, wall } = await once(one)
    const times = measured.get(one.name)
    if (round < 0 || times === undefined) continue
    times.walls.push(wall)
    times.processor += processor
    await pause(1)
  }
}
client.close()
await target.end("SIGKILL")
for (const { home } of [target, used]) fs.rmSync(home, { recursive: true, force: true })

/** What a row may take, in times of an empty Node; a hyphen if it has no budget. */
const budgetOf = (name: string): number | string => {
  const budget = name.startsWith("binary ") ? binaryBudget : scriptBudget
  if (!name.startsWith("binary ") && !name.startsWith("secrets.mjs ")) return "-"
  if (name.includes(" serve,")) return budget.ready
  if (name.endsWith(" lease db")) return budget.lease
  if (name.endsWith(" helper print db")) return budget.print
  if (name.includes(" helper ")) return budget.target
  return budget === scriptBudget || name.endsWith(" exec true") ? budget.exec : "-"
}

const floor = measured.get("node -e 0") ?? { walls: [], processor: 0 }
const times = [...measured].map(([name, { processor, walls }]) => ({
  command: name,
  "median ms": rounded(median(walls), 1),
  "min ms": rounded(quantile(walls, 0), 1),
  "of node -e 0": rounded(median(walls) / median(floor.walls)),
  budget: budgetOf(name),
  "processor ms": rounded(processor / rounds, 1),
  "of node's": rounded(processor / floor.processor)
}))
const files = fs.readdirSync("dist").map((file) => path.join("dist", file))
const sizeOf = (some: ReadonlyArray<string>) => mebibytes(some.reduce((sum, file) => sum + fs.statSync(file).size, 0))
const sizes = [
  { file: "dist/*.cjs, *.mjs", MiB: sizeOf(files.filter((file) => /\.[cm]js$/.test(file))) },
  ...(fs.existsSync(binary) ? [{ file: "dist/secrets", MiB: sizeOf([binary]) }] : [])
]

print("start", { rounds, node: process.version, times, sizes })
