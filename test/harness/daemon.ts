/**
 * A daemon of the built program on a directory of its own: started, awaited, signalled
 * and inspected. Promises (`launch`) for stress scenarios and benchmarks, the same as a
 * scoped effect (`startDaemon`) for tests.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Connection, requestLine } from "./connection.ts"
import { type Ended, type RunOptions, type Started, start } from "./program.ts"

/** A daemon that a scenario, a benchmark or a test acts on. */
export interface Target extends Started {
  readonly home: string
  readonly directory: string
  readonly socket: string
  readonly pid: number
  readonly signal: (signal: NodeJS.Signals) => void
  /** Sends a signal and waits until the process has ended. */
  readonly end: (signal: NodeJS.Signals) => Promise<Ended>
}

/** Starts a daemon and waits for nothing. */
export const launch = (options: RunOptions, args: ReadonlyArray<string> = []): Target => {
  const started = start(["serve", ...args], options)
  const directory = path.join(options.home, ".agent-secrets")
  const signal = (name: NodeJS.Signals) => void started.child.kill(name)
  return {
    ...started,
    home: options.home,
    directory,
    socket: path.join(directory, "agent-secrets.sock"),
    pid: started.child.pid ?? 0,
    signal,
    end: (name) => {
      signal(name)
      return started.ended
    }
  }
}

/** What a daemon logs each time that it begins to accept requests. */
export const readyMarker = " serves "

/** Whether a daemon has logged that it accepts requests. */
export const isReady = ({ stderr }: Pick<Started, "stderr">): boolean => stderr().includes(readyMarker)

/** Waits until a daemon accepts requests; false if it ends first. */
export const becomesReady = (started: Started): Promise<boolean> => {
  const ready = new Promise<boolean>((resolve) => {
    const check = () => isReady(started) && resolve(true)
    started.child.stderr?.on("data", check)
    check()
  })
  return Promise.race([ready, started.ended.then(() => false)])
}

/** Waits until a daemon accepts requests; throws with its standard error if it ends first. */
export const untilReady = async <A extends Started>(started: A): Promise<A> => {
  if (!(await becomesReady(started))) throw new Error(`the daemon did not start: ${started.stderr()}`)
  return started
}

export interface RunningDaemon {
  readonly home: string
  readonly directory: string
  readonly socket: string
  readonly pid: number
  readonly stderr: () => string
  readonly stdout: () => string
  /** Sends a signal, SIGTERM by default, and waits until the process has ended. */
  readonly stop: (signal?: NodeJS.Signals) => Effect.Effect<Ended>
  readonly signal: (signal: NodeJS.Signals) => void
  /** Closes the reading ends of its standard output and error. */
  readonly closeOutput: () => void
  readonly ended: Effect.Effect<Ended>
}

/** Starts a daemon and waits until it accepts requests; it is killed when the scope ends. */
export const startDaemon = Effect.fnUntraced(function* (
  options: RunOptions & { readonly args?: ReadonlyArray<string> }
) {
  const target = yield* Effect.acquireRelease(
    Effect.sync(() => launch(options, options.args)),
    ({ end }) => Effect.promise(() => end("SIGKILL"))
  )
  yield* Effect.promise(() => untilReady(target))
  const daemon: RunningDaemon = {
    ...target,
    closeOutput: () => {
      target.child.stdout?.destroy()
      target.child.stderr?.destroy()
    },
    stop: (signal = "SIGTERM") => Effect.promise(() => target.end(signal)),
    ended: Effect.promise(() => target.ended)
  }
  return daemon
})

/** A connection that closes with its scope. */
export const connect = (socketPath: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new Connection(socketPath)),
    (connection) => Effect.sync(() => connection.socket.destroy())
  )

/** Calls a method on a connection of its own and returns the reply. */
export const rpc = (socketPath: string, method: string, params: object = {}): Effect.Effect<any> =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* connect(socketPath)
      const line = yield* Effect.promise(() => connection.ask(requestLine(method, params)))
      return JSON.parse(line ?? "null")
    })
  )

/** Leases the secret db so many times for seven clients, on eight connections; returns the replies. */
export const leaseOften = (socketPath: string, count: number): Effect.Effect<ReadonlyArray<any>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const connections = yield* Effect.all(Array.from({ length: 8 }, () => connect(socketPath)))
      const replies: Array<any> = []
      const askFrom = async (connection: Connection, first: number) => {
        for (let n = first; n < count; n += connections.length) {
          const line = await connection.ask(requestLine("lease", { secret_name: "db", client_id: `c${n % 7}` }))
          replies.push(JSON.parse(line ?? "null"))
        }
      }
      yield* Effect.promise(() => Promise.all(connections.map(askFrom)))
      return replies
    })
  )

/** The entries of audit.log, oldest first. */
export const auditOf = (directory: string): ReadonlyArray<Record<string, any>> =>
  fs
    .readFileSync(path.join(directory, "audit.log"), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))

/** The permission bits of a file, in octal. */
export const modeOf = (file: string): string => (fs.statSync(file).mode & 0o777).toString(8)
