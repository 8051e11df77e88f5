/**
 * secrets daemon status: the state of the service, its reason and a hint. Exit status 0
 * means that it runs and answers; other states have their own.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { type Observation, type ServiceStatus, assess } from "../../../service/assess.ts"
import { readServiceFiles, readStamp } from "../../../service/ServiceFile.ts"
import { unloadedJob } from "../../../service/Supervisor.ts"
import type { Problem } from "../../command/Output.ts"
import type { DaemonArgs } from "./daemonFlags.ts"
import { probeDaemon } from "./probeDaemon.ts"
import { daemonOf, renderService, thisProgram } from "./renderService.ts"
import { cannotAsk, fileError, ioError, supervisorOf } from "./supervisorOf.ts"

export interface KnownAnswer {
  readonly socketPath: string
  readonly answer: Observation["answer"]
}

/** Uses the answer of a daemon that is known already, if it is of the service's socket. */
export const serviceStatus = Effect.fnUntraced(function* (args: DaemonArgs, known?: KnownAnswer) {
  const supervisor = yield* supervisorOf(args, "read")
  const [main, ...others] = yield* Effect.mapError(readServiceFiles(supervisor.paths), fileError)
  if (main === undefined) return yield* Effect.die("a supervisor has no path for a service")
  const choices = readStamp(main.text ?? "")?.choices
  const probe = Effect.gen(function* () {
    const { socketPath } = yield* daemonOf(args, choices, supervisor)
    const { runtime } = yield* thisProgram
    const expected = choices === undefined ? [] : (yield* renderService(choices, supervisor)).files
    const answer = known?.socketPath === socketPath ? known.answer : yield* probeDaemon(socketPath)
    // A doctor reports it by itself, and the settings of the command line are not those of the system's service.
    const isAsked = known === undefined && answer === undefined && supervisor.scope === "user"
    const hangFix = isAsked
      ? yield* Effect.promise(() =>
          import("../../command/absence.ts").then(({ hangHint }) => hangHint(args, socketPath))
        )
      : undefined
    return { socketPath, runtime, expected, answer, hangFix }
  })
  // Concurrently: the supervisor's tool takes as long as all the rest.
  const [state, { answer, expected, hangFix, runtime, socketPath }] = yield* Effect.all(
    [Effect.result(supervisor.state), probe],
    { concurrency: "unbounded" }
  )
  // Without a file, "not installed" needs no supervisor.
  if (Result.isFailure(state) && main.text !== undefined) return yield* ioError(state.failure)
  const [job, unasked] = Result.isFailure(state)
    ? [unloadedJob, cannotAsk(supervisor, state.failure)]
    : [state.success, undefined]
  const required = [...(choices === undefined ? [] : [choices.program]), ...supervisor.requiredPaths(main.text ?? "")]
  const missing = [...new Set(required)].filter((file) => !fs.existsSync(file)).map(escapeValue)
  const status = assess({
    installed: [main, ...others],
    expected,
    job,
    answer,
    hangFix,
    unasked,
    missing,
    supervisor: supervisor.name
  })
  return {
    lines: [
      `${status.state.replaceAll("_", " ")}: ${status.reason}`,
      `supervisor    ${supervisor.name}, for ${supervisor.scope === "user" ? "this user" : "the system"}`,
      ...(main.text === undefined ? [] : [`file          ${escapeValue(main.path)}`]),
      `socket        ${escapeValue(socketPath)}`,
      ...status.notes.map((note) => `note          ${note}`)
    ],
    result: {
      ...status,
      supervisor: supervisor.name,
      scope: supervisor.scope,
      file: main.text === undefined ? undefined : main.path,
      socket: socketPath,
      runtime,
      pid: answer?.pid ?? job.pid,
      restarts: job.restarts,
      last_end: job.lastExit
    },
    problem: problemOf(status)
  }
})

const problemOf = ({ fix, reason, state }: ServiceStatus): Problem | undefined => {
  const status = exitStatuses[state]
  if (status === exitStatus.done) return undefined
  const code = status === exitStatus.unavailable ? "daemon_unavailable" : "generic_error"
  return { message: reason, code, fix, exitStatus: status }
}

const exitStatuses: Readonly<Record<ServiceStatus["state"], number>> = {
  running: exitStatus.done,
  running_unmanaged: exitStatus.done,
  failing: exitStatus.failed,
  starting: exitStatus.unavailable,
  stopped: exitStatus.unavailable,
  not_loaded: exitStatus.unavailable,
  not_installed: exitStatus.notFound,
  not_answering: exitStatus.timeout,
  stale: exitStatus.stale
}
