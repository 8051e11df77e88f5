/**
 * The parts of `secrets status` that need more than one query: `--wait` and `--watch`.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { type DaemonAddress, request } from "../../../rpc/client/client.ts"
import type { MethodName } from "../../../rpc/protocol/methods.ts"
import { CommandError, fromClient } from "../../command/CommandError.ts"
import { protocolProblem } from "../../command/problems.ts"
import { loadDaemon } from "../../command/settings.ts"
import { parseWait } from "../../command/waitDuration.ts"
import { statusCommand } from "./status.ts"
import type { StatusArgs } from "./watchStatus.ts"
import { watchStatus } from "./watchStatus.ts"

export const runStatusSession = (args: StatusArgs) => (args.flag("watch") ? watchStatus(args) : waitUntilServing(args))

const pollInterval = Duration.millis(200)

const waitUntilServing = Effect.fnUntraced(function* (args: StatusArgs) {
  const timeout = yield* parseWait(args.option("wait") ?? "", "secrets status --wait 30s")
  const daemon = { ...(yield* loadDaemon(args)), returnsSoon: undefined }
  const start = yield* Clock.currentTimeMillis
  const left = Effect.map(Clock.currentTimeMillis, (now) => timeout - (now - start))
  while (true) {
    const millis = Math.max(1, yield* left)
    const found = yield* Effect.result(queryStatus({ ...daemon, timeout: Duration.millis(millis) }, args))
    const problem = Result.isFailure(found) ? found.failure : found.success.problem
    if (Result.isSuccess(found) && problem === undefined) return found.success
    if (problem?.exitStatus === exitStatus.permission) return yield* new CommandError(problem)
    if ((yield* left) <= Duration.toMillis(pollInterval)) {
      return yield* new CommandError({
        message: `the daemon is not serving after ${args.option("wait")}`,
        why: [problem?.message, problem?.why].filter((text) => text !== undefined).join(": "),
        fix: problem?.fix ?? "",
        code: "daemon_unavailable",
        exitStatus: exitStatus.unavailable
      })
    }
    yield* Effect.sleep(pollInterval)
  }
})

const queryStatus = Effect.fnUntraced(function* (daemon: DaemonAddress, args: StatusArgs) {
  const query = (method: MethodName) => Effect.mapError(request(daemon, method, {}), fromClient)
  const status = yield* query("secrets.status")
  const diagnostics = yield* Effect.orElseSucceed(query("daemon.status"), () => undefined)
  const output = statusCommand.render([status, diagnostics], { args, socketPath: daemon.socketPath })
  return output ?? (yield* new CommandError(protocolProblem("secrets.status has an unexpected result")))
})
