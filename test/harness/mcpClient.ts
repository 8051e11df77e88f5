/**
 * A client of `secrets mcp` that sends lines and keeps every line that comes back: what a real
 * client would hide, a test can search.
 */
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { commandVariables, invocation } from "./program.ts"

export interface McpClientOptions {
  readonly home: string
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly capabilities?: object
  readonly protocolVersion?: string
  readonly name?: string
}

export interface McpReply {
  readonly id?: number
  readonly method?: string
  readonly params?: any
  readonly result?: any
  readonly error?: any
}

export interface McpClientUnderTest {
  readonly child: ChildProcess
  /** Every line of its standard output. */
  readonly lines: ReadonlyArray<string>
  readonly stderr: () => string
  /** Sends a message without an answer. */
  readonly send: (message: object | string) => void
  /** Sends a request, and returns the answer. */
  readonly ask: (method: string, params?: object) => Promise<McpReply>
  /** Returns the result of a tool: its structure, or the JSON of its failure. */
  readonly call: (name: string, given?: object) => Promise<any>
  /** Waits for a message that the server sends by itself. */
  readonly received: (method: string) => Promise<McpReply>
  readonly ended: Promise<{ readonly status: number | null; readonly signal: NodeJS.Signals | null }>
}

/** Starts a server, and shakes hands with it. */
export const openMcp = async (options: McpClientOptions): Promise<McpClientUnderTest> => {
  const client = startMcp(options)
  await client.ask("initialize", {
    protocolVersion: options.protocolVersion ?? "2025-11-25",
    capabilities: options.capabilities ?? {},
    clientInfo: { name: options.name ?? "test", version: "1" }
  })
  client.send({ method: "notifications/initialized" })
  return client
}

/** Starts a server. */
export const startMcp = ({ args = [], cwd, env = {}, home }: McpClientOptions): McpClientUnderTest => {
  const [command = "", ...words] = [...invocation, "mcp", ...args]
  const child = spawn(command, words, {
    cwd: cwd ?? home,
    env: { HOME: home, PATH: "/usr/bin:/bin", ...commandVariables(["mcp"]), ...env },
    stdio: "pipe"
  })
  const lines: Array<string> = []
  const waiting = new Set<(reply: McpReply) => boolean>()
  let [stderr, nextId] = ["", 1]
  child.stderr.on("data", (bytes) => (stderr += bytes))
  child.stdin.on("error", () => {})
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line)
    const message: McpReply = JSON.parse(line)
    for (const take of waiting) if (take(message)) waiting.delete(take)
  })
  const next = (isMeant: (reply: McpReply) => boolean) =>
    new Promise<McpReply>((resolve) => {
      const take = (reply: McpReply) => {
        if (!isMeant(reply)) return false
        resolve(reply)
        return true
      }
      waiting.add(take)
    })
  const send = (message: object | string) => {
    child.stdin.write(`${typeof message === "string" ? message : JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
  }
  const ask = (method: string, params?: object) => {
    const id = nextId++
    const reply = next((one) => one.id === id && one.method === undefined)
    send({ id, method, ...(params === undefined ? {} : { params }) })
    return reply
  }
  return {
    child,
    lines,
    stderr: () => stderr,
    send,
    ask,
    call: async (name, given = {}) => {
      const { error, result } = await ask("tools/call", { name, arguments: given })
      if (error !== undefined) return { error }
      return result.isError === true ? JSON.parse(result.content[0].text) : result.structuredContent
    },
    received: (method) => next((one) => one.method === method),
    ended: new Promise((resolve) => child.once("close", (status, signal) => resolve({ status, signal })))
  }
}

/** A client that is killed when the scope ends. */
export const scopedMcp = (options: McpClientOptions) =>
  Effect.acquireRelease(
    Effect.promise(() => openMcp(options)),
    ({ child, ended }) =>
      Effect.promise(() => {
        child.kill("SIGKILL")
        return ended
      })
  )
