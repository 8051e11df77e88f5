/**
 * The worker of the proxy as a process of the built program, with the test in the place of the daemon.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import type { FromWorker, OpenRoute, ToWorker } from "../../src/domain/proxyMessages.ts"
import { temporaryHome } from "../support/temporary.ts"
import { within } from "../support/within.ts"
import { invocation, isScript } from "./program.ts"

export class WorkerProcess {
  readonly child: ChildProcess
  readonly socket: string
  readonly messages: Array<FromWorker> = []
  /** Resolves with the exit status or the signal. */
  readonly ended: Promise<string>
  private readonly directory = temporaryHome()
  private waiting: Array<{
    readonly fits: (message: FromWorker) => boolean
    readonly done: (message: FromWorker) => void
  }> = []
  private runs = 0

  constructor(options: ReadonlyArray<string> = [], environment: Readonly<Record<string, string>> = {}) {
    const [command = "", ...args] = invocation
    this.socket = path.join(this.directory, "p.sock")
    // The binary takes no options of Node.
    this.child = spawn(command, [...(isScript ? options : []), ...args, "proxy-worker"], {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      // Node and Bun understand only the JSON of each other.
      serialization: isScript ? "advanced" : "json"
    })
    this.child.on("message", (message: FromWorker) => this.take(message))
    this.ended = new Promise((done) => this.child.on("exit", (status, signal) => done(String(signal ?? status))))
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  /** Waits until the worker listens, and returns the milliseconds. */
  async ready(): Promise<number> {
    const began = performance.now()
    await this.next("ready", ({ type }) => type === "ready")
    this.send({ type: "listen", paths: [this.socket] })
    await this.next("listening", ({ type }) => type === "listening")
    return performance.now() - began
  }

  send(message: ToWorker): void {
    if (this.child.connected) this.child.send(message)
  }

  /** Opens a run, and waits until that is done. */
  async open(
    routes: ReadonlyArray<OpenRoute>,
    connectHash?: string
  ): Promise<{ readonly run: string; readonly ca: string }> {
    this.runs += 1
    const run = `run-${this.runs}`
    const opened = this.next(`opened ${run}`, (message) => message.type === "opened" && message.run === run)
    this.send({ type: "open", run, client: "test", expires: Date.now() + 3_600_000, routes, connectHash })
    const answer = await opened
    return { run, ca: answer.type === "opened" ? (answer.ca ?? "") : "" }
  }

  /** Closes a run, and waits until that is done. */
  async close(run: string): Promise<FromWorker> {
    const closed = this.next(`closed ${run}`, (message) => message.type === "closed" && message.run === run)
    this.send({ type: "close", run, why: "test" })
    return closed
  }

  /** Waits for a message. */
  next(what: string, fits: (message: FromWorker) => boolean): Promise<FromWorker> {
    return within(`the worker's "${what}"`, new Promise((done) => void this.waiting.push({ fits, done })))
  }

  async end(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.child.kill(signal)
    await within("the end of the worker", this.ended)
    fs.rmSync(this.directory, { recursive: true, force: true })
  }

  private take(message: FromWorker): void {
    this.messages.push(message)
    if ("id" in message && message.type !== "reported") this.send({ type: "recorded", id: message.id })
    const met = this.waiting.filter(({ fits }) => fits(message))
    this.waiting = this.waiting.filter((one) => !met.includes(one))
    for (const { done } of met) done(message)
  }
}

/** Reads a line of /proc/PID/status in bytes. */
export const memoryOf = (pid: number, line: "VmRSS" | "VmHWM"): number =>
  Number(new RegExp(`^${line}:\\s+(\\d+)`, "m").exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024
