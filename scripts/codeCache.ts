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
import { crc32 } from "node:zlib"
import { type CacheHead, digitsOfLength } from "./partLoader.ts"

const tap = path.join(import.meta.dirname, "tapScripts.ts")
/** What a daemon is asked. */
const asked = ["status", "lease db", "lease db", "leases", "health", "list", "revoke --client nobody", "rotate db"]
/** Commands beside another daemon, one that sends its events to a collector as well. */
const beside = ["--help", "audit --tail 3", "rotate db", "leases", "status --metrics", "env --help", "exec --help"]

/** In the place of joelclaw. */
const standIn = `#!/bin/sh
cat >/dev/null
echo '{"ok":true}'
`

/** `parts` are the texts by name, `id` the build. */
export const codeCache = async (program: string, parts: ReadonlyMap<string, string>, id: string): Promise<void> => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-build-"))
  const made = path.join(directory, "made")
  fs.mkdirSync(made)
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
  const environment = { HOME: home, PATH: process.env["PATH"], PARTS_MADE: made, JOELCLAW_BIN: joelclaw }
  const start = (line: string, options: ReadonlyArray<string>, more = {}): ChildProcess =>
    spawn(process.execPath, [...options, program, ...line.split(" ")], {
      env: { ...environment, ...more },
      stdio: ["pipe", "ignore", "pipe"]
    })
  const run = async (line: string, options: ReadonlyArray<string>): Promise<void> => {
    const child = start(line, options)
    child.stdin?.end("made up")
    child.stderr?.resume()
    await once(child, "close")
  }
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
  const tapped = ["--import", tap]
  await withDaemon({}, async () => {
    await run("add db", [])
    for (const line of asked) await run(line, [])
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

/** The file: a first line that says where everything is, and the parts with what was made of them. */
const together = (parts: ReadonlyMap<string, string>, made: string, id: string): Buffer => {
  const places: Record<string, readonly [number, number, number, number]> = {}
  const pieces: Array<Buffer> = []
  let at = 0
  for (const part of fs.readdirSync(made)) {
    const text = Buffer.from(parts.get(part) ?? "", "latin1")
    const code = fs.readFileSync(path.join(made, part))
    places[part] = [at, text.length, code.length, crc32(code, crc32(text))]
    pieces.push(text, code)
    at += text.length + code.length
  }
  const head: CacheHead = { id, places }
  const line = Buffer.from(`${JSON.stringify(head)}\n`, "latin1")
  const length = String(line.length + digitsOfLength).padStart(digitsOfLength, "0")
  return Buffer.concat([Buffer.from(length, "latin1"), line, ...pieces])
}
