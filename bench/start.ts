/**
 * `npm run bench -- start`: how long the command takes, from the start of its process
 * to the end of it, and the daemon until it serves. The floor, a Node that does
 * nothing, is in every round, so that what the machine does meanwhile is done to all.
 *
 * Beside the time there is the processor time of the process, which says the same
 * also where others use the machine; on Linux, from /proc. dist/secrets is measured
 * where it is there (npm run build:binary).
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { Client } from "../test/harness/connection.ts"
import { launch, readyMarker, untilReady } from "../test/harness/daemon.ts"
import { pause } from "../test/harness/program.ts"
import { temporaryHome } from "../test/support/temporary.ts"
import { median, print, quantile } from "./stats.ts"
import { nodeOptions } from "./subject.ts"

const rounds = Number(process.env["ROUNDS"] ?? 25)
const node = process.execPath
const script = path.resolve("dist/secrets.mjs")
const binary = path.resolve("dist/secrets")

/** The least that a client in Node can be: one connection, one request, no flags, no settings. */
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

const victim = await untilReady(launch({ home: temporaryHome() }))
const client = new Client(victim.socket)
await client.ask("add", { name: "db", value: "made up" })
fs.writeFileSync(path.join(victim.home, ".secrets.json"), JSON.stringify({ secrets: [{ name: "db", env_var: "DB" }] }))

/** Where daemons are started one after the other: a directory that is in use, for only its first start is the first. */
const used = await untilReady(launch({ home: temporaryHome() }))
await used.end("SIGTERM")

interface Case {
  readonly name: string
  readonly line: () => Promise<ReadonlyArray<string>>
  /** What is printed when it is done; undefined if the end of the process is meant. */
  readonly until?: string
}

const plain = (name: string, ...line: ReadonlyArray<string>): Case => ({ name, line: async () => line })

const lines =
  "lease db, status, list, health, --version, audit --tail 3, rotate db, leases, status --wait 1s, env --file -, exec true, scan ., daemon status, --help, help, lease --help, completions bash, leese db"

/** As the service and the other launchers start a daemon. */
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
  { ...plain(`${title} serve, until it serves`, ...withOptions(program), "serve"), until: readyMarker }
]

const cases: ReadonlyArray<Case> = [
  plain("node -e 0", node, "-e", "0"),
  plain("a plain client in node", node, "-e", plainClient, victim.socket, JSON.stringify(request)),
  ...commandsOf("secrets.mjs", [node, script]),
  ...(fs.existsSync(binary) ? commandsOf("binary", [binary]) : [])
]

/** User and system time of the children that have ended, in milliseconds; it counts in hundredths of a second. */
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
  const { home } = until === undefined ? victim : used
  const processorBefore = processorTime()
  const from = performance.now()
  const child = spawn(command, args, {
    cwd: home,
    env: { HOME: home, PATH: "/usr/bin:/bin" },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const ended = new Promise<number>((resolve) => child.once("exit", () => resolve(performance.now())))
  const said = new Promise<number>((resolve) =>
    child.stderr.on("data", (piece) => {
      if (until !== undefined && String(piece).includes(until)) resolve(performance.now())
    })
  )
  child.stdout.resume()
  const wall = (await Promise.race([ended, said])) - from
  child.kill("SIGTERM")
  await ended
  return { wall, processor: processorTime() - processorBefore }
}

const measured = new Map(cases.map(({ name }) => [name, { walls: [] as number[], processor: 0 }]))
// The first round does not count: it reads the files from the disk.
for (let round = -1; round < rounds; round += 1) {
  for (const one of cases) {
    const { processor, wall } = await once(one)
    const figures = measured.get(one.name)
    if (round < 0 || figures === undefined) continue
    figures.walls.push(wall)
    figures.processor += processor
    await pause(1)
  }
}
client.close()
await victim.end("SIGKILL")
for (const { home } of [victim, used]) fs.rmSync(home, { recursive: true, force: true })

const floor = measured.get("node -e 0") ?? { walls: [], processor: 0 }
const times = [...measured].map(([name, { processor, walls }]) => ({
  command: name,
  "median ms": Number(median(walls).toFixed(1)),
  "least ms": Number(quantile(walls, 0).toFixed(1)),
  "of node -e 0": Number((median(walls) / median(floor.walls)).toFixed(2)),
  "processor ms": Number((processor / rounds).toFixed(1)),
  "of node's": Number((processor / floor.processor).toFixed(2))
}))
const sizes = [script, binary]
  .filter((file) => fs.existsSync(file))
  .map((file) => ({ file: path.relative("", file), MiB: Number((fs.statSync(file).size / 2 ** 20).toFixed(1)) }))

print("start", { rounds, node: process.version, times, sizes })
