/**
 * The built program as its users have it: started, talked to, signalled, read.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { ignoredSignals } from "../../src/cli/commands/serve/signals.ts"

/** AGENT_SECRETS_PROGRAM names another build of it, such as dist/secrets, the binary. */
export const program = path.resolve(
  import.meta.dirname,
  "../..",
  process.env["AGENT_SECRETS_PROGRAM"] ?? "dist/secrets.mjs"
)

/** Whether Node runs it; the binary is no concern of the options of Node. */
export const isScript = program.endsWith(".mjs")

/** What the program survives here. Bun knows no SIGSTKFLT, so the binary dies of it; no system sends it by itself. */
export const survivedHere = ignoredSignals.filter(
  (signal) => Object.hasOwn(os.constants.signals, signal) && (isScript || signal !== "SIGSTKFLT")
)

/** What it is started by. */
export const invocation: ReadonlyArray<string> = isScript ? [process.execPath, program] : [program]

/** The same for a shell. */
export const shellWords = invocation.map((word) => `"${word}"`).join(" ")

export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Started {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Promise<Ended>
}

export interface RunOptions {
  readonly home: string
  /** What is added to an environment that has nothing but HOME and PATH. */
  readonly env?: Readonly<Record<string, string>>
  /** What the program gets on standard input; nothing if undefined. */
  readonly stdin?: string | Uint8Array
  /** Options for Node, which the binary does not have. */
  readonly nodeOptions?: ReadonlyArray<string>
  /** A shell command line that has the program as "$@". */
  readonly through?: string
}

/** Starts the program, and leaves its end to the caller. */
export const start = (args: ReadonlyArray<string>, options: RunOptions): Started => {
  const [runtime = "", ...script] = invocation
  const line = [runtime, ...(isScript ? (options.nodeOptions ?? []) : []), ...script, ...args]
  const [command = "", ...rest] =
    options.through === undefined ? line : ["/bin/sh", "-c", options.through, "sh", ...line]
  const child = spawn(command, rest, {
    env: { HOME: options.home, PATH: "/usr/bin:/bin", ...options.env },
    stdio: [options.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"]
  })
  const pieces = { stdout: "", stderr: "" }
  child.stdout?.on("data", (piece) => (pieces.stdout += piece))
  child.stderr?.on("data", (piece) => (pieces.stderr += piece))
  child.stdin?.on("error", () => undefined)
  if (options.stdin !== undefined) child.stdin?.end(options.stdin)
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (status, signal) => resolve({ status, signal, ...pieces }))
  })
  return { child, stdout: () => pieces.stdout, stderr: () => pieces.stderr, ended }
}

/** Runs one command to its end. */
export const run = (args: ReadonlyArray<string>, options: RunOptions): Effect.Effect<Ended> =>
  Effect.promise(() => start(args, options).ended)

export interface RunningDaemon {
  readonly home: string
  readonly directory: string
  readonly socket: string
  readonly pid: number
  readonly stderr: () => string
  readonly stdout: () => string
  /** Sends a signal and waits until the process has ended. */
  readonly stop: (signal?: NodeJS.Signals) => Effect.Effect<Ended>
  readonly signal: (signal: NodeJS.Signals) => void
  /** Closes the reading ends of its standard output and error. */
  readonly closeOutput: () => void
  readonly ended: Effect.Effect<Ended>
}

/** Starts a daemon and waits until it serves; it is killed with the scope if it has not ended by then. */
export const startDaemon = Effect.fnUntraced(function* (
  options: RunOptions & { readonly args?: ReadonlyArray<string> }
) {
  const started = yield* Effect.acquireRelease(
    Effect.sync(() => start(["serve", ...(options.args ?? [])], options)),
    ({ child, ended }) =>
      Effect.promise(() => {
        child.kill("SIGKILL")
        return ended
      })
  )
  const directory = path.join(options.home, ".agent-secrets")
  const ready = Effect.sync(() => started.stderr().includes(" serves ")).pipe(
    Effect.repeat({ until: (serves) => serves, schedule: Schedule.spaced("5 millis") })
  )
  const ended = Effect.promise(() => started.ended)
  const failed = Effect.flatMap(ended, (how) => Effect.die(new Error(`the daemon did not start: ${how.stderr}`)))
  yield* Effect.raceFirst(ready, failed)
  const daemon: RunningDaemon = {
    home: options.home,
    directory,
    socket: path.join(directory, "agent-secrets.sock"),
    pid: started.child.pid ?? 0,
    stderr: started.stderr,
    stdout: started.stdout,
    signal: (signal) => void started.child.kill(signal),
    closeOutput: () => {
      started.child.stdout?.destroy()
      started.child.stderr?.destroy()
    },
    stop: (signal = "SIGTERM") =>
      Effect.andThen(
        Effect.sync(() => started.child.kill(signal)),
        ended
      ),
    ended
  }
  return daemon
})

/** A connection that sends bytes as they are and gives lines as they come; `undefined` is the end. */
export class Connection {
  private readonly lines: Array<string | undefined> = []
  private readonly waiting: Array<(line: string | undefined) => void> = []
  private rest = ""
  readonly socket: net.Socket

  constructor(socketPath: string) {
    this.socket = net.connect({ path: socketPath, allowHalfOpen: true })
    this.socket.on("error", () => undefined)
    this.socket.on("data", (piece) => {
      const lines = (this.rest + piece.toString("utf8")).split("\n")
      this.rest = lines.pop() ?? ""
      for (const line of lines) this.give(line)
    })
    this.socket.once("close", () => this.give(undefined))
    this.socket.once("end", () => this.give(undefined))
  }

  private give(line: string | undefined): void {
    const next = this.waiting.shift()
    if (next === undefined) this.lines.push(line)
    else next(line)
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(bytes)
    return this
  }

  line(): Promise<string | undefined> {
    if (this.lines.length > 0) return Promise.resolve(this.lines.shift())
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  async ask(line: string): Promise<string | undefined> {
    this.send(`${line}\n`)
    return await this.line()
  }
}

/** A connection that is gone when the scope ends. */
export const connect = (socketPath: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new Connection(socketPath)),
    (connection) => Effect.sync(() => connection.socket.destroy())
  )

/** Calls a method on a connection of its own; gives the reply. */
export const rpc = (socketPath: string, method: string, params: object = {}): Effect.Effect<any> =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* connect(socketPath)
      const line = yield* Effect.promise(() =>
        connection.ask(JSON.stringify({ jsonrpc: "2.0", method: `secrets.${method}`, params, id: 1 }))
      )
      return JSON.parse(line ?? "null")
    })
  )

export const auditOf = (directory: string): ReadonlyArray<Record<string, any>> =>
  fs
    .readFileSync(path.join(directory, "audit.log"), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))

export const modeOf = (file: string): string => (fs.statSync(file).mode & 0o777).toString(8)
