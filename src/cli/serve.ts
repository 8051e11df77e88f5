/**
 * secrets serve: the daemon, in the foreground, until SIGTERM or SIGINT.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { daemon } from "../daemon/Daemon.ts"
import { define } from "./Command.ts"
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
      const config = yield* loadConfig(line)
      yield* Effect.sync(() => process.umask(0o077))
      const stopReason = yield* Effect.sync(watchSignals)
      yield* Effect.mapError(daemon(config, { environment: process.env, stopReason }), startFailure)
      return { result: {}, text: undefined }
    },
    Effect.provide(Layer.provide(NodeChildProcessSpawner.layer, [NodeFileSystem.layer, NodePath.layer]))
  )
})
