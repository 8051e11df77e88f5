/**
 * The process of the proxy's worker: this program again, with a hidden command. Values and notices
 * go through an IPC channel that no other process has; its end is the end of the worker.
 *
 * It has no arguments and an environment of a few names, since it talks to the network.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { childEnvironment } from "../../domain/childEnvironment.ts"
import type { FromWorker, ToWorker } from "../../domain/proxyMessages.ts"
import { ownProgram } from "../../process/ownProgram.ts"

/** The worker cannot be started, or cannot serve. */
export class ProxyUnavailable extends Data.TaggedError("ProxyUnavailable")<{ readonly reason: string }> {
  override get message() {
    return `the proxy is not available: ${this.reason}`
  }
}

export interface WorkerProcess {
  readonly pid: number | undefined
  /** Sends a message; one to a worker that is gone is lost, as its runs are. */
  readonly send: (message: ToWorker) => void
  /** Ends it at once; nothing of its memory is left. */
  readonly kill: () => void
  /** Completes with how it ended. */
  readonly ended: Effect.Effect<string>
}

/** Starts a worker; `receive` gets its messages, in order and at once. */
export type LaunchWorker = (receive: (message: FromWorker) => void) => Effect.Effect<WorkerProcess, ProxyUnavailable>

/** The hidden command. */
export const workerCommand = "proxy-worker"

/** What keeps the memory of a worker small, however much it carries. */
const memoryOptions = ["--max-semi-space-size=1", "--max-old-space-size=96"]

const launch: LaunchWorker = (receive) =>
  Effect.gen(function* () {
    const [command, ...own] = ownProgram()
    const options = process.versions["bun"] === undefined ? [...process.execArgv, ...memoryOptions] : []
    const child = yield* Effect.try({
      try: () =>
        spawn(command, [...options, ...own, workerCommand], {
          cwd: "/",
          // A Ctrl-C is for the daemon, which ends it in order.
          detached: true,
          env: childEnvironment(process.env),
          serialization: "advanced",
          stdio: ["ignore", "ignore", "inherit", "ipc"]
        }),
      catch: () => new ProxyUnavailable({ reason: "its worker cannot be started" })
    })
    const ended = yield* Deferred.make<string>()
    const endedBy = (how: string) => Deferred.doneUnsafe(ended, Effect.succeed(how))
    child.once("error", () => endedBy("it could not be started"))
    child.once("exit", (status, signal) => endedBy(signal ?? `exit status ${status}`))
    child.on("message", (message) => {
      if (isFromWorker(message)) receive(message)
    })
    return {
      pid: child.pid,
      send: (message) => {
        if (child.connected) child.send(message, () => undefined)
      },
      kill: () => void child.kill("SIGKILL"),
      ended: Deferred.await(ended)
    }
  })

/** Returns whether it is a message. Only our own program is at the other end; members are checked where they are used. */
const isFromWorker = (message: unknown): message is FromWorker =>
  typeof message === "object" && message !== null && "type" in message && typeof message.type === "string"

/** How workers are started; tests put another one in its place. */
export const CurrentLaunch = Context.Reference<LaunchWorker>("agent-secrets/LaunchWorker", {
  defaultValue: () => launch
})
