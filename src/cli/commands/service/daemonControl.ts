/**
 * secrets daemon start, stop, logs: what the supervisor does on request.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { complaint, failed, runTool, showTool } from "../../../service/runTool.ts"
import type { DaemonLine } from "./daemonFlags.ts"
import { exitCode } from "../../command/exitCode.ts"
import { Failure, misuse } from "../../command/Failure.ts"
import { installedService } from "./installedService.ts"
import { fromTool } from "./serviceFailure.ts"
import { untilServing } from "./untilServing.ts"
import { wantedService } from "./wantedService.ts"

export const startService = Effect.fnUntraced(function* (line: DaemonLine) {
  const { daemon, supervisor, withSocket } = yield* needed(line)
  for (const step of supervisor.steps("start", withSocket)) yield* Effect.mapError(supervisor.run(step), fromTool)
  const answer = yield* Effect.mapError(
    untilServing(daemon.socketPath, supervisor),
    (error) =>
      new Failure({
        message: error.message,
        code: "daemon_unavailable",
        fix: error.fix,
        exitCode: exitCode.unavailable
      })
  )
  return { text: `running${answer.pid === undefined ? "" : ` as process ${answer.pid}`}\n`, result: answer }
})

export const stopService = Effect.fnUntraced(function* (line: DaemonLine) {
  const { supervisor, withSocket } = yield* needed(line)
  for (const step of supervisor.steps("stop", withSocket)) yield* Effect.mapError(supervisor.run(step), fromTool)
  const until = supervisor.scope === "user" ? "login" : "boot"
  return { text: `stopped until the next ${until}, or: secrets daemon start\n`, result: {} }
})

export const serviceLogs = Effect.fnUntraced(
  function* (line: DaemonLine) {
    const lines = Number(line.text("lines") ?? 100)
    if (!Number.isSafeInteger(lines) || lines < 0 || lines > 100_000) {
      return yield* misuse("--lines must be a whole number up to 100000", "For instance: secrets daemon logs -n 20")
    }
    const { choices, supervisor } = yield* needed(line)
    const { options } = yield* wantedService(choices ?? { program: "" }, supervisor)
    const words = supervisor.logs({ lines, follow: line.given("follow") }, options.log)
    if (line.given("follow")) {
      const status = yield* Effect.mapError(showTool(words, supervisor.environment), fromTool)
      if (status === 0) return { text: undefined, result: {} }
      return yield* fromTool(failed(words, `exit status ${status}`, ""))
    }
    const said = yield* Effect.mapError(runTool(words, supervisor.environment), fromTool)
    if (said.status !== 0) return yield* fromTool(failed(words, complaint(said), "It may not have said anything yet"))
    return { text: said.stdout, result: { lines: said.stdout.split("\n").slice(0, -1) } }
  },
  Effect.provide(Layer.provide(NodeChildProcessSpawner.layer, [NodeFileSystem.layer, NodePath.layer]))
)

/** The service, or what to do where there is none. */
const needed = Effect.fnUntraced(function* (line: DaemonLine) {
  const service = yield* installedService(line)
  if (service !== undefined) return service
  return yield* new Failure({
    message: "it is not installed as a service",
    code: "generic_error",
    fix: "Install it: secrets daemon install. Without: secrets serve",
    exitCode: exitCode.notFound
  })
})
