/**
 * secrets serve: the daemon, in the foreground, until SIGTERM or SIGINT.
 *
 * Before anything is read, it sees to it that nothing opens it, and that nothing of
 * it is written down.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { daemon } from "../daemon/Daemon.ts"
import { exitStatus } from "../domain/exitStatus.ts"
import { define } from "./Command.ts"
import { closeDebugger } from "./debugger.ts"
import { forbidDumps } from "./dumps.ts"
import { hazards } from "./environment.ts"
import { Failure } from "./Failure.ts"
import { loadConfig } from "./settings.ts"
import { watchSignals } from "./signals.ts"
import { startFailure } from "./startFailure.ts"

export const serve = define({
  name: "serve",
  summary: "Run the daemon in the foreground",
  arity: [0, 0],
  flags: { "skip-permission-check": { type: "boolean" } },
  examples: ["secrets serve", "secrets serve --config ~/.agent-secrets/config.json"],
  run: Effect.fnUntraced(
    function* (line) {
      yield* Effect.sync(() => process.umask(0o077))
      yield* checkSurroundings
      // Node takes no listener for SIGPROF while a debugger is open.
      yield* closeDebugger
      const signals = yield* Effect.sync(watchSignals)
      yield* forbidDumps
      const config = yield* loadConfig(line)
      yield* Effect.mapError(daemon(config, { environment: process.env, ...signals }), startFailure)
      return { result: {}, text: undefined }
    },
    Effect.provide(Layer.provide(NodeChildProcessSpawner.layer, [NodeFileSystem.layer, NodePath.layer]))
  )
})

const checkSurroundings = Effect.suspend(() => {
  const { refusal, suspicious } = hazards({ execArgv: process.execArgv, environment: process.env })
  if (refusal !== undefined) {
    const { fix, reason } = refusal
    return Effect.fail(new Failure({ message: reason, code: "data_error", fix, exitCode: exitStatus.badConfig }))
  }
  if (suspicious.length === 0) return Effect.void
  return Effect.logWarning(`the environment has ${suspicious.join(", ")}: other code may be loaded into the daemon`)
})
