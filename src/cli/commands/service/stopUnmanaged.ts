/**
 * Stops a daemon that is not the service: by SIGTERM to its process, as a person would.
 *
 * The daemon names its process. That may be another one here, as of a daemon in a container or of
 * another program on the socket, so only the process that holds the daemon's lock is stopped.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { findHolder } from "../../../daemon/files/fileLock.ts"
import { childEnvironment } from "../../../domain/childEnvironment.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { runTool } from "../../../process/runTool.ts"
import { type DaemonAddress, call, sharedTimeout } from "../../../rpc/client/client.ts"
import { optional } from "../../../domain/shape.ts"
import { explainHang, lockFileOf } from "../../command/absence.ts"
import { CommandError, fromClient } from "../../command/CommandError.ts"
import { clientProblem } from "../../command/problems.ts"
import type { GlobalArgs } from "../../command/settingsFile.ts"
import { noticeWhenLate } from "../../command/noticeWhenLate.ts"
import { reasonOf } from "../../command/Output.ts"
import { ioError } from "./supervisorOf.ts"

const processExample = { pid: 0, started_by: optional("") }

/** Longer than a daemon takes to stop. */
const stopTimeout = Duration.seconds(6)
/** Another supervisor starts the next one within this. */
const returnTimeout = Duration.seconds(1)

/** Returns undefined if there is no daemon, or one that does not name its process. */
export const stopUnmanaged = Effect.fnUntraced(function* (args: GlobalArgs, daemon: DaemonAddress) {
  const rest = yield* sharedTimeout(daemon)
  const ask = call(daemon, "daemon.status", {}, processExample)
  const found = yield* Effect.result(ask)
  if (Result.isFailure(found)) {
    const { failure } = found
    if (failure._tag === "RequestTimedOut") {
      const problem = clientProblem(failure)
      return yield* new CommandError(yield* Effect.promise(() => explainHang(args, problem)))
    }
    const isThere =
      failure._tag === "DaemonUnavailable" && (yield* holderOf(lockFileOf(args, daemon.socketPath))) !== undefined
    return isThere ? yield* fromClient(failure) : undefined
  }
  const { pid, started_by: starter } = found.success
  if (starter === "supervisor") {
    return yield* rejected(
      `a supervisor keeps process ${pid} alive`,
      "Stop it there, such as with systemctl or launchctl"
    )
  }
  if (!(yield* holdsLock(pid, lockFileOf(args, daemon.socketPath)))) {
    return yield* rejected(
      `the daemon says that it is process ${pid}, and that process does not hold its lock`,
      `Stop it in its container, name its settings with --config, or look at that process and run: kill ${pid}`
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
  const stopping = Effect.sync(() => isAlive(pid)).pipe(
    Effect.repeat({ until: (alive) => !alive, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOrElse({
      duration: stopTimeout,
      orElse: () =>
        ioError({ message: `process ${pid} did not stop`, fix: `Leases and secrets survive: kill -9 ${pid}` })
    })
  )
  const returned = starter === "hand" ? Effect.void : rejectReturned(daemon, pid)
  yield* Effect.andThen(stopping, returned).pipe(
    noticeWhenLate(rest, `secrets daemon: waiting for process ${pid} to stop`)
  )
  return { lines: [`stopped process ${pid}`], result: { pid } }
})

/** Rejects what came back: a parent that is not known as a supervisor may be one. */
const rejectReturned = Effect.fnUntraced(function* (daemon: DaemonAddress, stopped: number) {
  const next = yield* Effect.option(call({ ...daemon, timeout: returnTimeout }, "daemon.status", {}, processExample))
  if (next._tag === "None" || next.value.pid === stopped) return
  const message = `process ${stopped} stopped, and a supervisor started process ${next.value.pid}`
  return yield* rejected(message, "Stop it in its supervisor")
})

const holderOf = (lockFile: string | undefined) => (lockFile === undefined ? Effect.undefined : findHolder(lockFile))

/** Asks the system, not the daemon. Elsewhere than on Linux, lsof finds the process; without it there is no proof. */
const holdsLock = Effect.fnUntraced(function* (pid: number, lockFile: string | undefined) {
  const holder = yield* holderOf(lockFile)
  if (lockFile === undefined || holder !== "unknown") return holder === pid
  const env = childEnvironment(process.env)
  const found = runTool(["lsof", "-a", "-t", "-p", String(pid), "--", lockFile], { env, timeout: "2 seconds" })
  return yield* found.pipe(
    Effect.map(({ stdout }) => stdout.toString("utf8").trim() === String(pid)),
    Effect.orElseSucceed(() => false)
  )
})

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const rejected = (message: string, fix: string) => ioError({ message, fix }, exitStatus.rejected)
