/**
 * secrets serve: the daemon, in the foreground, until SIGTERM or SIGINT.
 *
 * Before anything is read, it sees to it that nothing opens it, and that nothing of
 * it is written down. Its help is not made to wait for a daemon to be loaded.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { readSupervision, supervisionVariables } from "../../../domain/supervision.ts"
import { defineCommand } from "../../command/Command.ts"
import { closeDebugger } from "./debugger.ts"
import { disableCoreDumps } from "./coreDumps.ts"
import { unsafeRuntimeOptions } from "./unsafeRuntimeOptions.ts"
import { CommandError } from "../../command/CommandError.ts"
import { stderrLogger } from "../../command/stderrLogger.ts"
import { loadConfig } from "../../command/settings.ts"
import { watchSignals } from "./signals.ts"
import { startFailure } from "./startFailure.ts"

export const serveCommand = defineCommand({
  name: "serve",
  summary: "Run the daemon in the foreground",
  arity: [0, 0],
  flags: {
    "skip-permission-check": { type: "boolean" },
    "listen-fd": {
      type: "string",
      value: "N",
      summary: "serve the listening socket that is descriptor N (systemd's is found without this)"
    }
  },
  examples: ["secrets serve", "secrets serve --config ~/.agent-secrets/config.json"],
  run: Effect.fnUntraced(function* (args) {
    yield* Effect.sync(() => process.umask(0o077))
    yield* checkSurroundings
    yield* closeDebugger
    yield* disableCoreDumps
    const supervision = yield* takeSupervision(args.option("listen-fd"))
    const config = yield* loadConfig(args)
    yield* closeDebugger
    const { runDaemon } = yield* Effect.promise(() => import("../../../daemon/Daemon.ts"))
    yield* closeDebugger
    // Node takes no listener for SIGPROF while a debugger is open.
    const signals = yield* Effect.sync(watchSignals)
    yield* Effect.mapError(runDaemon(config, { environment: process.env, supervision, ...signals }), startFailure)
    return { result: {}, text: undefined }
  }, Effect.provide(stderrLogger))
})

/** What the supervisor says is for this process alone: those that it starts would take it for theirs. */
const takeSupervision = (listenFd: string | undefined) =>
  Effect.suspend(() => {
    const supervision = readSupervision(process.env, process.pid, listenFd)
    for (const name of supervisionVariables) delete process.env[name]
    if (Result.isSuccess(supervision)) return Effect.succeed(supervision.success)
    return Effect.fail(
      new CommandError({
        message: supervision.failure,
        code: "data_error",
        fix: "Have the supervisor hand over the one socket, as the units of this project do",
        exitStatus: exitStatus.badConfig
      })
    )
  })

const checkSurroundings = Effect.suspend(() => {
  const { refusal, suspicious } = unsafeRuntimeOptions({ execArgv: process.execArgv, environment: process.env })
  if (refusal !== undefined) {
    const { fix, reason } = refusal
    return Effect.fail(new CommandError({ message: reason, code: "data_error", fix, exitStatus: exitStatus.badConfig }))
  }
  if (suspicious.length === 0) return Effect.void
  return Effect.logWarning(`the environment has ${suspicious.join(", ")}: other code may be loaded into the daemon`)
})
