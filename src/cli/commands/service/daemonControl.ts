/**
 * secrets daemon start, stop, logs: what the supervisor does on request.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { toolMessage, toolFailed, runTool, showTool } from "../../../service/runTool.ts"
import type { DaemonArgs } from "./daemonFlags.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import { installedService } from "./installedService.ts"
import { toolError } from "./serviceErrors.ts"
import { waitUntilReady } from "./waitUntilReady.ts"
import { renderService } from "./renderService.ts"

export const startService = Effect.fnUntraced(function* (args: DaemonArgs) {
  const { daemon, supervisor, withSocket } = yield* needed(args)
  for (const step of supervisor.steps("start", withSocket)) yield* Effect.mapError(supervisor.run(step), toolError)
  const answer = yield* Effect.mapError(
    waitUntilReady(daemon.socketPath, supervisor),
    (error) =>
      new CommandError({
        message: error.message,
        code: "daemon_unavailable",
        fix: error.fix,
        exitStatus: exitStatus.unavailable
      })
  )
  return { text: `running${answer.pid === undefined ? "" : ` as process ${answer.pid}`}\n`, result: answer }
})

export const stopService = Effect.fnUntraced(function* (args: DaemonArgs) {
  const { supervisor, withSocket } = yield* needed(args)
  for (const step of supervisor.steps("stop", withSocket)) yield* Effect.mapError(supervisor.run(step), toolError)
  const until = supervisor.scope === "user" ? "login" : "boot"
  return { text: `stopped until the next ${until}, or: secrets daemon start\n`, result: {} }
})

export const serviceLogs = Effect.fnUntraced(
  function* (args: DaemonArgs) {
    const lines = Number(args.option("lines") ?? 100)
    if (!Number.isSafeInteger(lines) || lines < 0 || lines > 100_000) {
      return yield* failUsage("--lines must be a whole number up to 100000", "For instance: secrets daemon logs -n 20")
    }
    const { choices, supervisor } = yield* needed(args)
    const { options } = yield* renderService(choices ?? { program: "" }, supervisor)
    const words = supervisor.logs({ lines, follow: args.flag("follow") }, options.log)
    if (args.flag("follow")) {
      const status = yield* Effect.mapError(showTool(words, supervisor.environment), toolError)
      if (status === 0) return { text: undefined, result: {} }
      return yield* toolError(toolFailed(words, `exit status ${status}`, ""))
    }
    const said = yield* Effect.mapError(runTool(words, supervisor.environment), toolError)
    if (said.status !== 0)
      return yield* toolError(toolFailed(words, toolMessage(said), "It may not have said anything yet"))
    return { text: said.stdout, result: { lines: said.stdout.split("\n").slice(0, -1) } }
  },
  Effect.provide(Layer.provide(NodeChildProcessSpawner.layer, [NodeFileSystem.layer, NodePath.layer]))
)

/** The service, or what to do where there is none. */
const needed = Effect.fnUntraced(function* (args: DaemonArgs) {
  const service = yield* installedService(args)
  if (service !== undefined) return service
  return yield* new CommandError({
    message: "it is not installed as a service",
    code: "generic_error",
    fix: "Install it: secrets daemon install. Without: secrets serve",
    exitStatus: exitStatus.notFound
  })
})
