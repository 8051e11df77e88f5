/**
 * The clients of the official SDK, of both eras of the protocol, against `secrets mcp`: fetched
 * here, because they are a hundred packages. Then many programs at the same time, and lines that are broken.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { launch, untilReady } from "../harness/daemon.ts"
import { openMcp } from "../harness/mcpClient.ts"
import { invocation, start } from "../harness/program.ts"
import { quantile } from "../harness/quantile.ts"
import { formsIn } from "../support/leaks.ts"
import type { Random } from "../support/random.ts"
import type { Row, Scenario } from "./Scenario.ts"

const packages = ["@modelcontextprotocol/sdk@1.32.2", "@modelcontextprotocol/client@2.4.0"]
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
        ...(await sdkClients(home, log)),
        await manyPrograms(home, rounds, log),
        await brokenLines(home, rounds, random)
      ]
    } finally {
      await daemon.end("SIGTERM")
      fs.rmSync(home, { recursive: true, force: true })
    }
  }
}

const sdkClients = async (home: string, log: (line: string) => void): Promise<ReadonlyArray<Row>> => {
  const fetched = spawnSync("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...packages], {
    cwd: home,
    env: { ...process.env, HOME: home }
  })
  if (fetched.status !== 0) return [{ what: "clients of the SDK: not fetched", tried: 0, failed: 0 }]
  const resolve = createRequire(path.join(home, "here.js")).resolve
  const load = (name: string): Promise<any> => import(pathToFileURL(resolve(name)).href)
  const eras = [
    ["2025", "@modelcontextprotocol/sdk/client/index.js", "@modelcontextprotocol/sdk/client/stdio.js"],
    ["2026", "@modelcontextprotocol/client", "@modelcontextprotocol/client/stdio"]
  ] as const
  const rows: Array<Row> = []
  for (const [era, clientModule, stdioModule] of eras) {
    const [{ Client }, { StdioClientTransport }] = [await load(clientModule), await load(stdioModule)]
    const [command = "", ...args] = invocation
    const transport = new StdioClientTransport({
      command,
      args: [...args, "mcp"],
      env: { HOME: home, PATH: "/usr/bin:/bin" },
      cwd: home
    })
    const client = new Client({ name: `sdk-${era}`, version: "1" }, { capabilities: {} })
    await client.connect(transport)
    const { tools } = await client.listTools()
    const shown = JSON.stringify(
      await client.callTool({
        name: "run_with_secrets",
        arguments: { command: [process.execPath, "-e", printing], secrets: [{ name: "tok" }] }
      })
    )
    const running = client.callTool({
      name: "run_with_secrets",
      arguments: { command: ["sleep", "77"], secrets: [{ name: "tok" }] }
    })
    running.catch(() => undefined)
    await new Promise((done) => setTimeout(done, 1000))
    const from = performance.now()
    await client.close()
    const millis = Math.round(performance.now() - from)
    const checks = [
      tools.length === 5,
      shown.includes("***"),
      formsIn(Buffer.from(shown), value).length === 0,
      millis < 1500
    ]
    if (checks.includes(false)) log(`SDK of ${era}: ${checks.join()} ${shown.slice(0, 400)}`)
    const stats = `closed with a program running in ${millis} ms`
    rows.push({
      what: `checks of the SDK's client of ${era}`,
      tried: checks.length,
      failed: checks.filter((one) => !one).length,
      stats
    })
  }
  return rows
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
