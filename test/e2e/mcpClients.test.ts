/**
 * The clients of the official SDK, of both eras of the protocol, against `secrets mcp`. They are in a package of their
 * own, test/clients, which most machines need not install. `npm run torture -- mcp` has the inspector.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { leaveOut } from "../harness/clients.ts"
import { commandVariables, invocation } from "../harness/program.ts"
import { sharedDaemon } from "../harness/sharedDaemon.ts"
import { formsIn } from "../support/leaks.ts"
import { eventually } from "../support/waiting.ts"

const value = 'made-up "value" / with+signs & ünicode 7Qw'
const typed = "made-up value of a person / 9Zt"
const daemon = sharedDaemon({ tok: value })

const clients = path.join(import.meta.dirname, "../clients")
const isInstalled = fs.existsSync(path.join(clients, "node_modules/@modelcontextprotocol"))
const load = (name: string): Promise<any> =>
  import(pathToFileURL(createRequire(path.join(clients, "here.js")).resolve(name)).href)

/** Prints the value as programs encode it. */
const printing = `const v = process.env.TOK, b = Buffer.from(v)
console.log(v, b.toString("base64"), b.toString("hex"), encodeURIComponent(v), JSON.stringify({ v }))`

const eras = [
  {
    era: "2025",
    modules: ["@modelcontextprotocol/sdk/client/index.js", "@modelcontextprotocol/sdk/client/stdio.js"],
    question: () => load("@modelcontextprotocol/sdk/types.js").then(({ ElicitRequestSchema }) => ElicitRequestSchema),
    call: (client: any, request: object, signal?: AbortSignal) => client.callTool(request, undefined, { signal })
  },
  {
    era: "2026",
    modules: ["@modelcontextprotocol/client", "@modelcontextprotocol/client/stdio"],
    question: () => Promise.resolve("elicitation/create"),
    call: (client: any, request: object, signal?: AbortSignal) => client.callTool(request, { signal })
  }
] as const

describe("a client of the SDK", { concurrent: true }, () => {
  for (const { call, era, modules, question } of eras) {
    const name = `of ${era} lists, runs, cancels and asks a person, and gets no value`
    it.live(name, () =>
      Effect.promise(async () => {
        if (!isInstalled) return leaveOut("npm ci --prefix test/clients", name)
        const { home } = daemon()
        const [{ Client }, { StdioClientTransport }] = [await load(modules[0]), await load(modules[1])]
        const [command = "", ...args] = invocation
        const env = { HOME: home, PATH: "/usr/bin:/bin", ...commandVariables(["mcp"]) }
        const transport = new StdioClientTransport({ command, args: [...args, "mcp"], env, cwd: home, stderr: "pipe" })
        let shown = ""
        transport.stderr.on("data", (bytes: Buffer) => (shown += bytes))
        const capabilities = { elicitation: { form: {}, url: {} } }
        const versionNegotiation = { mode: "auto" }
        const client = new Client({ name: `sdk-${era}`, version: "1" }, { capabilities, versionNegotiation })
        client.setRequestHandler(await question(), async ({ params }: any) => {
          await fetch(params.url, { method: "POST", body: new URLSearchParams({ value: typed }) })
          return { action: "accept" }
        })
        await client.connect(transport)
        const use = async (tool: string, given: object = {}, signal?: AbortSignal): Promise<any> => {
          const result = await call(client, { name: tool, arguments: given }, signal)
          shown += JSON.stringify(result)
          return result.structuredContent
        }
        const running = (words: ReadonlyArray<string>, signal?: AbortSignal) =>
          use("run_with_secrets", { command: words, secrets: [{ name: "tok" }] }, signal)

        assert.strictEqual((await client.listTools()).tools.length, 5)
        assert.strictEqual((await running([process.execPath, "-e", printing])).stdout, '*** *** *** *** {"v":"***"}\n')
        // It is replaced by a second question, which is another request.
        for (const replace of [false, true]) {
          const asked = await use("request_secret", {
            name: `typed_${era}`,
            why: "for a test",
            wait_seconds: 20,
            replace
          })
          assert.strictEqual(asked.status, "stored")
        }
        const isHeld = (count: number) =>
          Effect.runPromise(
            eventually(
              Effect.promise(() => use("list_leases")),
              ({ leases }) => leases.length === count
            )
          )
        const cancelling = new AbortController()
        const cancelled = running(["sleep", "77"], cancelling.signal).then(
          () => "answered",
          () => "cancelled"
        )
        await isHeld(1)
        cancelling.abort()
        assert.strictEqual(await cancelled, "cancelled")
        await isHeld(0)
        const last = running(["sleep", "77"]).catch(() => undefined)
        await isHeld(1)
        // The transport waits two seconds before it sends a signal.
        const child = transport._process
        await client.close()
        await last
        assert.deepStrictEqual([child.exitCode, child.signalCode], [0, null])
        for (const one of [value, typed]) assert.deepStrictEqual(formsIn(Buffer.from(shown), one), [])
      })
    )
  }
})
