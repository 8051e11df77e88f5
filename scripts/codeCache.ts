/**
 * Makes dist/secrets.mjs.cache: the parts of the program, with what the engine makes of
 * them, for the Node that builds. Another one sees that it is not its own, and compiles.
 *
 * The engine compiles a function when it is first called, so the program is run: the
 * daemon through a life with a request of each usual kind, and the commands that are
 * more than a question to it.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import * as vm from "node:vm"
import { crc32 } from "node:zlib"
import { type CacheHead, headLength, type Place } from "./partLoader.ts"

const tap = path.join(import.meta.dirname, "tapScripts.ts")
/** What a daemon is asked. */
const asked = ["status", "lease db", "lease db", "leases", "health", "list", "revoke --client nobody", "rotate db"]
/** Commands beside another daemon, one that sends its events to a collector as well. */
const beside = [
  "--help",
  "leese",
  "completions bash",
  "audit --tail 3",
  "rotate db",
  "leases",
  "status --metrics",
  "status --wait 1s",
  "env --secret db --file -",
  "exec --secret db true",
  "env",
  "exec true",
  "exec --mask true",
  "scan .",
  "daemon status"
]

/** In the place of joelclaw. */
const standIn = `#!/bin/sh
cat >/dev/null
echo '{"ok":true}'
`

/** What `env` and `exec` are to give. */
const project = { secrets: [{ name: "db", env_var: "DB" }] }

/** `parts` are the texts by name, `id` the build. */
export const codeCache = async (program: string, parts: ReadonlyMap<string, string>, id: string): Promise<void> => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-build-"))
  const made = path.join(directory, "made")
  fs.mkdirSync(made)
  // What an earlier build ran is nothing to this one.
  fs.rmSync(`${program}.cache`, { force: true })
  try {
    await runAll(path.resolve(program), directory, made)
    const temporary = `${program}.cache.tmp`
    fs.writeFileSync(temporary, together(parts, made, id))
    fs.chmodSync(temporary, 0o644)
    // A daemon that runs keeps the one that it has.
    fs.renameSync(temporary, `${program}.cache`)
  } finally {
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

const runAll = async (program: string, home: string, made: string): Promise<void> => {
  const joelclaw = path.join(home, "joelclaw")
  fs.writeFileSync(joelclaw, standIn, { mode: 0o700 })
  fs.writeFileSync(path.join(home, ".secrets.json"), JSON.stringify(project))
  const environment = { HOME: home, PATH: process.env["PATH"], PARTS_MADE: made, JOELCLAW_BIN: joelclaw }
  const start = (line: string, options: ReadonlyArray<string>, more = {}): ChildProcess =>
    spawn(process.execPath, [...options, program, ...line.split(" ")], {
      cwd: home,
      env: { ...environment, ...more },
      stdio: ["pipe", "ignore", "pipe"]
    })
  const run = async (line: string, options: ReadonlyArray<string>): Promise<void> => {
    const child = start(line, options)
    child.stdin?.end("made up")
    child.stderr?.resume()
    await once(child, "close")
  }
  const tapped = ["--import", tap]
  const withDaemon = async (more: object, use: () => Promise<void>): Promise<void> => {
    const daemon = start("serve", tapped, more)
    try {
      await serving(daemon)
      await use()
    } finally {
      daemon.kill("SIGTERM")
    }
    await once(daemon, "close")
  }
  await withDaemon({}, async () => {
    await run("add db", tapped)
    for (const line of asked) await run(line, tapped)
  })
  const collector = http.createServer((_, response) => void response.end()).listen(0, "127.0.0.1")
  await once(collector, "listening")
  const { port } = collector.address() as AddressInfo
  await withDaemon({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` }, async () => {
    for (const line of beside) await run(line, tapped)
  })
  collector.close()
  collector.closeAllConnections()
}

const serving = (daemon: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    let said = ""
    daemon.stderr?.on("data", (piece) => {
      said += piece
      if (said.includes(" serves ")) resolve()
    })
    daemon.once("close", () => reject(new Error(`the daemon did not start: ${said}`)))
  })

/** The file, as `partLoader` reads it. */
const together = (parts: ReadonlyMap<string, string>, made: string, id: string): Buffer => {
  const [entry = ""] = parts.keys()
  const textOf = (part: string) => Buffer.from(parts.get(part) ?? "", "latin1")
  /** Of what was never run, that which the engine makes of a text before it runs. */
  const codeOf = (part: string): Buffer =>
    fs.existsSync(path.join(made, part))
      ? fs.readFileSync(path.join(made, part))
      : new vm.Script(parts.get(part) ?? "", { filename: `secrets/${part}` }).createCachedData()
  const places: Record<string, Place> = {}
  const pieces: Array<Buffer> = []
  let at = 0
  for (const part of parts.keys()) {
    if (part === entry) continue
    const [text, code] = [textOf(part), codeOf(part)]
    const piece = Buffer.concat([text, code])
    places[part] = [at, crc32(piece), text.length, code.length]
    pieces.push(piece)
    at += piece.length
  }
  const first = [textOf(entry), codeOf(entry)]
  const where = Buffer.from(JSON.stringify(places), "latin1")
  const head: CacheHead = { id, entry: [first[0]?.length ?? 0, first[1]?.length ?? 0], places: where.length }
  return Buffer.concat([
    Buffer.from(JSON.stringify(head).padEnd(headLength), "latin1"),
    ...first,
    ...first,
    where,
    ...pieces
  ])
}
