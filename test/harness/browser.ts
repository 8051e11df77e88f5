/**
 * A headless Chromium, driven over a pipe by its own protocol: messages in JSON, each ended by a
 * zero byte.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import type { Readable, Writable } from "node:stream"

const programs = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]

/** Where a browser is; undefined if there is none. */
export const chromium = programs.find((file) => fs.existsSync(file))

export interface Browser {
  /** Opens an address, waits until it is loaded, and returns the text of the page. */
  readonly open: (url: string) => Promise<string>
  /** Runs an expression in the page, and waits for its result. */
  readonly run: (expression: string) => Promise<any>
  readonly close: () => void
}

export const openBrowser = async (program: string, profile: string): Promise<Browser> => {
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
  const child = spawn(program, [...flags, `--user-data-dir=${profile}`, "about:blank"], {
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    env: { HOME: profile, PATH: "/usr/bin:/bin" }
  })
  const [, , , input, output] = child.stdio as unknown as [null, null, null, Writable, Readable]
  const waiting = new Map<number, (result: any) => void>()
  const listeners = new Map<string, () => void>()
  let [rest, nextId] = ["", 1]
  output.on("data", (bytes) => {
    const messages = (rest + bytes).split("\0")
    rest = messages.pop() ?? ""
    for (const text of messages) {
      const { id, method, result } = JSON.parse(text)
      waiting.get(id)?.(result)
      listeners.get(method)?.()
    }
  })
  const ask = (method: string, params: object = {}, sessionId?: string) =>
    new Promise<any>((resolve) => {
      const id = nextId++
      waiting.set(id, resolve)
      input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    })
  const { targetId } = await ask("Target.createTarget", { url: "about:blank" })
  const { sessionId } = await ask("Target.attachToTarget", { targetId, flatten: true })
  await ask("Page.enable", {}, sessionId)
  const run = async (expression: string) => {
    const { result } = await ask("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true }, sessionId)
    return result?.value
  }
  const loaded = () => new Promise<void>((resolve) => listeners.set("Page.loadEventFired", resolve))
  return {
    open: async (url) => {
      const done = loaded()
      await ask("Page.navigate", { url }, sessionId)
      await done
      return await run("document.body.innerText")
    },
    run,
    close: () => void child.kill("SIGKILL")
  }
}
