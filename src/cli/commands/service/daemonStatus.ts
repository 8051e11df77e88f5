/**
 * secrets daemon status: the service as its supervisor has it, why it is so, and what
 * to do. Exit status 0 means that it runs and answers; each other state has its own.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { readServiceFiles } from "../../../service/applyPlan.ts"
import type { ServiceStatus } from "../../../service/assess.ts"
import { assess } from "../../../service/assess.ts"
import { readStamp } from "../../../service/stamp.ts"
import { unknownJob } from "../../../service/Supervisor.ts"
import { thisProgram } from "../../../service/thisProgram.ts"
import type { DaemonArgs } from "./daemonFlags.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import type { Problem } from "../../command/Output.ts"
import { daemonOf } from "./installedService.ts"
import { fileError, toolError } from "./serviceErrors.ts"
import { supervisorOf } from "./serviceScope.ts"
import { renderService } from "./renderService.ts"
import { probeDaemon } from "./probeDaemon.ts"

export const serviceStatus = Effect.fnUntraced(function* (args: DaemonArgs) {
  const supervisor = yield* supervisorOf(args, "look")
  const [main, ...others] = yield* Effect.mapError(readServiceFiles(supervisor.places), fileError)
  if (main === undefined) return yield* Effect.die("a supervisor has no place for a service")
  const choices = readStamp(main.text ?? "")?.choices
  const rest = Effect.gen(function* () {
    const { socketPath } = yield* daemonOf(args, choices, supervisor)
    const { runtime } = yield* thisProgram
    const expected = choices === undefined ? [] : (yield* renderService(choices, supervisor)).files
    return { socketPath, runtime, expected, answer: yield* probeDaemon(socketPath) }
  })
  // Side by side, for the supervisor's tool takes as long as everything else together.
  const [job, { answer, expected, runtime, socketPath }] = yield* Effect.all(
    [
      // Where there is nothing, it takes no supervisor to say so.
      main.text === undefined
        ? Effect.orElseSucceed(supervisor.state, () => unknownJob)
        : Effect.mapError(supervisor.state, toolError),
      rest
    ],
    { concurrency: "unbounded" }
  )
  const missing = choices === undefined ? [] : [choices.program].filter((file) => !fs.existsSync(file))
  const verdict = assess({ found: [main, ...others], expected, job, answer, missing, supervisor: supervisor.name })
  return {
    text: [
      `${verdict.state.replaceAll("_", " ")}: ${verdict.reason}`,
      `supervisor    ${supervisor.name}, for ${supervisor.scope === "user" ? "this user" : "the system"}`,
      ...(main.text === undefined ? [] : [`file          ${main.path}`]),
      `socket        ${socketPath}`,
      ...verdict.notes.map((note) => `note          ${note}`),
      ""
    ].join("\n"),
    result: {
      ...verdict,
      supervisor: supervisor.name,
      scope: supervisor.scope,
      file: main.text === undefined ? undefined : main.path,
      socket: socketPath,
      runtime,
      pid: answer?.pid ?? job.pid,
      restarts: job.restarts,
      last_end: job.lastEnd
    },
    problem: problemOf(verdict)
  }
})

const problemOf = ({ fix, reason, state }: ServiceStatus): Problem | undefined => {
  const status = statuses[state]
  if (status === exitStatus.done) return undefined
  const code = status === exitStatus.unavailable ? "daemon_unavailable" : "generic_error"
  return { message: reason, code, fix, exitStatus: status }
}

const statuses: Readonly<Record<ServiceStatus["state"], number>> = {
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
