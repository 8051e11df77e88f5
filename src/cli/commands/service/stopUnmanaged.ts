/**
 * Stops a daemon that is not the service: by SIGTERM to its process, as a person would.
 *
 * The daemon names its process. It may run in a container, whose numbers mean other processes
 * here, so the process is looked at first.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { childEnvironment } from "../../../domain/childEnvironment.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { runTool } from "../../../process/runTool.ts"
import { type DaemonAddress, call } from "../../../rpc/client/client.ts"
import { optional } from "../../../rpc/protocol/shape.ts"
import { reasonOf } from "../../command/Output.ts"
import { ioError } from "./supervisorOf.ts"

const processExample = { pid: 0, started_by: optional("") }

/** Longer than a daemon takes to stop. */
const stopTimeout = Duration.seconds(6)
/** Another supervisor starts the next one within this. */
const returnTimeout = Duration.seconds(1)

/** Returns undefined if no daemon answers, or one that does not name its process. */
export const stopUnmanaged = Effect.fnUntraced(function* (daemon: DaemonAddress) {
  const ask = call(daemon, "daemon.status", {}, processExample)
  const found = yield* Effect.result(ask)
  if (Result.isFailure(found)) return undefined
  const { pid, started_by: starter } = found.success
  if (starter === "supervisor") {
    return yield* rejected(
      `a supervisor keeps process ${pid} alive`,
      "Stop it there, such as with systemctl or launchctl"
    )
  }
  if (!(yield* isDaemonHere(pid))) {
    return yield* rejected(
      `the daemon says that it is process ${pid}, and here that is another one`,
      "Stop it in its container"
    )
  }
  yield* Effect.try({
    try: () => process.kill(pid, "SIGTERM"),
    catch: (cause) =>
      ioError({
        message: `cannot stop process ${pid}: ${reasonOf(cause)}`,
        fix: `Stop it as its owner: sudo kill ${pid}`
      })
  })
  yield* Effect.sync(() => isAlive(pid)).pipe(
    Effect.repeat({ until: (alive) => !alive, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOrElse({
      duration: stopTimeout,
      orElse: () =>
        ioError({ message: `process ${pid} did not stop`, fix: `Leases and secrets survive: kill -9 ${pid}` })
    })
  )
  if (starter !== "hand") yield* rejectReturned(daemon, pid)
  return { lines: [`stopped process ${pid}`], result: { pid } }
})

/** Rejects what came back: a parent that is not known as a supervisor may be one. */
const rejectReturned = Effect.fnUntraced(function* (daemon: DaemonAddress, stopped: number) {
  const next = yield* Effect.option(call({ ...daemon, timeout: returnTimeout }, "daemon.status", {}, processExample))
  if (next._tag === "None" || next.value.pid === stopped) return
  const message = `process ${stopped} stopped, and a supervisor started process ${next.value.pid}`
  return yield* rejected(message, "Stop it in its supervisor")
})

const isDaemonHere = (pid: number) =>
  runTool(["ps", "-o", "args=", "-p", String(pid)], { env: childEnvironment(process.env), timeout: "2 seconds" }).pipe(
    Effect.map(({ stdout }) => / serve( |$)/m.test(stdout.toString("utf8").trimEnd())),
    // Without ps, as in a small container, its number has to do.
    Effect.orElseSucceed(() => true)
  )

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const rejected = (message: string, fix: string) => ioError({ message, fix }, exitStatus.rejected)
