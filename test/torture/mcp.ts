/**
 * The command line of the official inspector against `secrets mcp`: fetched here, because it is 120 packages. Then many
 * programs at the same time, and lines that are broken. The clients of the SDK are in test/e2e/mcpClients.test.ts.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { runProgram } from "../harness/clients.ts"
import { launch, untilReady } from "../harness/daemon.ts"
import { openMcp } from "../harness/mcpClient.ts"
import { type Ended, invocation, start } from "../harness/program.ts"
import { quantile } from "../harness/quantile.ts"
import { formsIn } from "../support/leaks.ts"
import type { Random } from "../support/random.ts"
import type { Row, Scenario } from "./Scenario.ts"

const inspectorVersion = "2.12.0"
const value = 'made-up "value" / with+signs & ünicode 7Qw'

/** Prints the value as programs encode it. */
const printing = `const v = process.env.TOK, b = Buffer.from(v)
console.log(v, b.toString("base64"), b.toString("hex"), encodeURIComponent(v), JSON.stringify({ v }))`

export const scenario: Scenario = {
  promise: "real clients get no value, and every call is answered",
  rounds: 100,
  run: async ({ log, random, rounds }) => {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-mcp-"))
    const daemon = await untilReady(launch({ home }))
    try {
      await start(["add", "tok"], { home, stdin: value }).ended
      return [
        await inspector(home, log),
        await manyPrograms(home, rounds, log),
        await brokenLines(home, rounds, random)
      ]
    } finally {
      await daemon.end("SIGTERM")
      fs.rmSync(home, { recursive: true, force: true })
    }
  }
}

/** Each command of it is a session of its own, and prints what the server sent. */
const inspector = async (home: string, log: (line: string) => void): Promise<Row> => {
  const env = Object.fromEntries(Object.entries(process.env).map(([name, text = ""]) => [name, text]))
  const run = (program: string, ...words: ReadonlyArray<string>) =>
    Effect.runPromise(runProgram(program, words, { env: { ...env, HOME: home }, cwd: home }))
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0"]
  const fetched = await run("npm", "install", ...flags, `@modelcontextprotocol/inspector@${inspectorVersion}`)
  const what = `commands of the inspector ${inspectorVersion}`
  if (fetched.status !== 0) return { what: `${what}: left out, npm cannot fetch it`, tried: 0, failed: 0 }
  const inspect = (...words: ReadonlyArray<string>) =>
    run("./node_modules/.bin/mcp-inspector", "--cli", ...invocation, "mcp", ...words)
  const called = (tool: string) => ["--method", "tools/call", "--tool-name", tool, "--tool-arg"]
  const runs = (command: ReadonlyArray<string>) =>
    inspect(...called("run_with_secrets"), `command=${JSON.stringify(command)}`, 'secrets=[{"name":"tok"}]')
  const modern = ["--protocol-era", "modern"]
  const all: ReadonlyArray<readonly [status: number, shown: string, ended: Ended]> = [
    [0, "0 errors", await inspect("--method", "tools/list", "--strict")],
    [0, '"run_with_secrets"', await inspect("--method", "tools/list", ...modern)],
    [0, '*** *** *** *** {\\"v\\":\\"***\\"}', await runs([process.execPath, "-e", printing])],
    [5, "no_such_program", await runs(["no-such-program"])],
    [0, '"pending"', await inspect(...called("request_secret"), "name=missing", "why=a test")],
    [5, "tool_not_found", await inspect(...called("get_secret"), "name=tok")]
  ]
  const isWrong = ([status, shown, ended]: (typeof all)[number]) => {
    const text = ended.stdout + ended.stderr
    const wrong = ended.status !== status || !text.includes(shown) || formsIn(Buffer.from(text), value).length > 0
    if (wrong) log(`${ended.status} in place of ${status} with ${shown}: ${text.slice(-400)}`)
    return wrong
  }
  return { what, tried: all.length, failed: all.filter(isWrong).length }
}

const manyPrograms = async (home: string, count: number, log: (line: string) => void): Promise<Row> => {
  const client = await openMcp({ home })
  const times: Array<number> = []
  const call = async (n: number) => {
    const from = performance.now()
    const ended = await client.call("run_with_secrets", { command: ["printenv", "TOK"], secrets: [{ name: "tok" }] })
    times.push(performance.now() - from)
    if (ended.stdout !== "***\n") log(`call ${n}: ${JSON.stringify(ended).slice(0, 200)}`)
    return ended.stdout === "***\n"
  }
  const outcomes = await Promise.all(Array.from({ length: count }, (_, n) => call(n)))
  const leaked = client.lines.filter((line) => formsIn(Buffer.from(line), value).length > 0)
  client.child.stdin?.end()
  await client.ended
  const stats = `median ${Math.round(quantile(times, 0.5))} ms, last ${Math.round(Math.max(...times))} ms`
  return {
    what: "programs at the same time",
    tried: count,
    failed: outcomes.filter((one) => !one).length + leaked.length,
    stats
  }
}

/** Cuts, repeats and mixes lines; a ping after each has to be answered. */
const brokenLines = async (home: string, count: number, random: Random): Promise<Row> => {
  const client = await openMcp({ home })
  const call = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"list_leases","arguments":{}}}'
  const words = [
    "{",
    "}",
    "[",
    "]",
    '"',
    "\u0000",
    ":",
    ",",
    "null",
    "1e999",
    "\\ud800",
    "__proto__",
    '"id":',
    '"method":"x"',
    call
  ]
  let failed = 0
  for (let round = 0; round < count; round += 1) {
    const line =
      random.below(2) === 0
        ? call.slice(0, random.below(call.length)) + random.pick(words) + call.slice(random.below(call.length))
        : Array.from({ length: random.below(12) }, () => random.pick(words)).join("")
    client.send(line.replaceAll("\n", ""))
    const answered = await Promise.race([
      client.ask("ping").then(() => true),
      new Promise<boolean>((done) => setTimeout(done, 5000, false))
    ])
    if (!answered) failed += 1
  }
  client.child.stdin?.end()
  const { status } = await client.ended
  return { what: "broken lines, and the end", tried: count + 1, failed: failed + (status === 0 ? 0 : 1) }
}
