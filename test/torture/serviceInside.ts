/**
 * The part of the scenario `service` that runs inside the namespace: as a user, with the
 * installed command. Prints a line for each failure, and its rows at the end.
 *
 *     node serviceInside.ts HOME socket|plain
 */
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { nodeOptions } from "../../src/service/ServiceOptions.ts"
import { answers } from "../harness/connection.ts"
import { pause } from "../harness/program.ts"

const [, , home = "", kind] = process.argv
const uid = fs.statSync(home).uid
const env = { HOME: home, PATH: "/usr/bin:/bin", XDG_RUNTIME_DIR: `/run/user/${uid}` }
const directory = path.join(home, ".agent-secrets")
const socket = path.join(directory, "agent-secrets.sock")
const config = path.join(directory, "config.json")
const installed = path.join(home, ".local/bin/secrets")
const asUser = { uid, gid: uid, env, cwd: "/", encoding: "utf8" } as const

const print = (line: string) => void process.stdout.write(`${line}\n`)
const counts = new Map<string, { tried: number; failed: number; stats: Array<string> }>()
const countOf = (what: string) => {
  const count = counts.get(what) ?? { tried: 0, failed: 0, stats: [] }
  counts.set(what, count)
  return count
}
const hold = (what: string, held: boolean, detail: () => string) => {
  const count = countOf(what)
  count.tried += 1
  if (held) return
  count.failed += 1
  print(`${what}: ${detail()}`)
}

const secrets = (...words: ReadonlyArray<string>) => spawnSync(process.execPath, [installed, ...words], asUser)
const systemctl = (...words: ReadonlyArray<string>) => spawnSync("systemctl", ["--user", ...words], asUser)

/** Runs a command and checks its exit status and output. */
const expect = (status: number, output: RegExp, ...words: ReadonlyArray<string>) => {
  const ended = secrets(...words)
  hold(words.slice(0, 2).join(" "), ended.status === status && output.test(ended.stdout + ended.stderr), () =>
    [`${ended.status} rather than ${status}`, ended.stdout, ended.stderr].join(" ").trim()
  )
}

const pidNow = () => Number(systemctl("show", "--property=MainPID", "--value", "dev.agent-secrets.service").stdout)

/** Returns the milliseconds until a request is answered; undefined after `limit`. */
const answered = async (limit: number): Promise<number | undefined> => {
  const begun = performance.now()
  while (performance.now() - begun < limit) {
    if (await answers(socket, 1_000)) return Math.round(performance.now() - begun)
    await pause(20)
  }
  return undefined
}

const process_ = (pid: number, file: string) => fs.readFileSync(`/proc/${pid}/${file}`, "utf8")

/** Checks that units are quoted correctly, whatever the path of the home directory contains. */
const checkProcess = () => {
  const pid = pidNow()
  const expected = [...nodeOptions, installed, "serve"]
  // Leaves out the runtime, and the empty text after the last separator.
  const words = process_(pid, "cmdline").split("\u0000").slice(1, -1)
  hold("process properties", words.join() === expected.join(), () => words.join(" "))
  const environment = process_(pid, "environ").split("\u0000")
  hold("process properties", environment.includes(`HOME=${home}`), () => environment.join(" "))
  hold("process properties", /^Max core file size\s+0\s+0/m.test(process_(pid, "limits")), () => "core files")
  hold("process properties", /^NoNewPrivs:\s+1$/m.test(process_(pid, "status")), () => "new privileges")
  const mode = (fs.statSync(socket).mode & 0o777).toString(8)
  hold("process properties", mode === "600", () => `socket ${mode}`)
}

const outlives = async (what: string, signal: NodeJS.Signals, limit: number) => {
  const before = pidNow()
  process.kill(before, signal)
  if (signal === "SIGKILL") while (fs.existsSync(`/proc/${before}/exe`) && pidNow() === before) await pause(5)
  const millis = await answered(limit)
  hold(what, millis !== undefined && pidNow() !== before, () => `${millis} ms`)
  countOf(what).stats.push(`${millis} ms`)
}

/** Kills the daemon under callers that never retry; none may be refused. */
const refusesNobody = async () => {
  const script = `
    const net = require("node:net"); let refused = 0, tried = 0, on = true
    process.on("SIGTERM", () => { on = false })
    const once = () => new Promise((resolve) => {
      const c = net.connect({ path: process.argv[1] }, () => c.write('{"jsonrpc":"2.0","method":"secrets.status","params":{},"id":1}\\n'))
      c.once("error", ({ code }) => { if (code === "ECONNREFUSED" || code === "ENOENT") refused++ }); c.once("data", () => c.destroy()); c.once("close", resolve)
    })
    const loop = async () => { while (on) { tried++; await once() } }
    Promise.all(Array.from({ length: 8 }, loop)).then(() => { console.log(JSON.stringify({ refused, tried })); process.exit() })`
  const callers = spawn(process.execPath, ["-e", script, socket], { ...asUser, stdio: ["ignore", "pipe", "inherit"] })
  let text = ""
  callers.stdout.on("data", (piece) => (text += piece))
  const ended = new Promise((resolve) => callers.once("close", resolve))
  await pause(300)
  for (let kill = 0; kill < 3; kill += 1) await outlives("kill -9 under load, with a socket", "SIGKILL", 10_000)
  callers.kill("SIGTERM")
  await ended
  const { refused, tried } = JSON.parse(text)
  hold("callers refused during kill -9", refused === 0, () => `${refused} of ${tried}`)
  countOf("callers refused during kill -9").stats.push(`${refused} of ${tried}`)
}

const life = async (withSocket: boolean) => {
  const flags = withSocket ? ["--socket-activation"] : []
  expect(4, /^not installed/, "daemon", "status")
  expect(0, /^installed for systemd, running as process \d+/, "daemon", "install", ...flags)
  checkProcess()
  expect(0, /^already installed, unchanged/, "daemon", "install", ...flags)
  expect(0, /^running: process/, "daemon", "status")
  secrets("add", "probe", "--value", "x")
  expect(0, /^x$/, "lease", "probe")
  const before = pidNow()
  expect(0, /^restarted;/, "daemon", "restart")
  hold("daemon restart", pidNow() !== before, () => "the same process")
  expect(0, /active leases 1/, "status")
  await outlives(`kill -9${withSocket ? ", with a socket" : ""}`, "SIGKILL", 10_000)
  if (withSocket) await refusesNobody()
  else await outlives("SIGSTOP, until the watchdog", "SIGSTOP", 30_000)
  expect(0, /^stopped/, "daemon", "stop")
  expect(3, /^stopped/, "daemon", "status")
  expect(0, /^running as process/, "daemon", "start")
  await wrongSetting(withSocket)
  expect(0, /^uninstalled/, "daemon", "uninstall")
  expect(4, /^not installed/, "daemon", "status")
  hold("daemon uninstall", fs.existsSync(path.join(directory, "secrets.age")), () => "the store is gone")
  hold("daemon uninstall", !fs.existsSync(socket), () => "the socket is there")
  fs.rmSync(directory, { recursive: true })
}

/** A lasting error is reported, causes no busy restart loop, and ends when it is fixed. */
const wrongSetting = async (withSocket: boolean) => {
  fs.writeFileSync(config, "{")
  process.kill(pidNow(), "SIGKILL")
  await pause(3_000)
  const starts = Number(systemctl("show", "--property=NRestarts", "--value", "dev.agent-secrets.service").stdout)
  const what = `starts in 3 s with a wrong setting${withSocket ? ", with a socket" : ""}`
  hold(what, starts <= 5, () => String(starts))
  countOf(what).stats.push(String(starts))
  fs.writeFileSync(config, "{}")
  if (!withSocket) expect(0, /^running as process/, "daemon", "start")
  hold("serves when the setting is fixed", (await answered(10_000)) !== undefined, () => "it does not")
}

while (systemctl("is-system-running").status !== 0) await pause(100)
await life(kind === "socket")
for (const [what, { stats, ...count }] of counts)
  print(`row ${JSON.stringify({ what, ...count, stats: stats.join(", ") })}`)
