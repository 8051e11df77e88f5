/**
 * secrets status, where it is more than one question: until the daemon serves, or
 * again and again.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as GoDuration from "../../../domain/GoDuration.ts"
import type { ClientError, DaemonAddress } from "../../../rpc/client/client.ts"
import { request } from "../../../rpc/client/client.ts"
import type { MethodName } from "../../../rpc/protocol/methods.ts"
import type { ArgsOf } from "../../command/Command.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError, fromClient, failUsage } from "../../command/CommandError.ts"
import type { Output } from "../../command/Output.ts"
import { protocolProblem } from "../../command/problems.ts"
import { loadDaemon } from "../../command/settings.ts"
import { statusCommand } from "./status.ts"
import { requireTerminal, watchStatus } from "./watchStatus.ts"

type StatusArgs = ArgsOf<typeof statusCommand.flags>

export const runStatusSession = (args: StatusArgs) => (args.flag("watch") ? watch(args) : waitUntilServing(args))

/** A look takes the daemon some milliseconds; more of them show nothing more. */
const minInterval = 0.2

const watch = Effect.fnUntraced(function* (args: StatusArgs) {
  const seconds = Number(args.positionals[0] ?? "1")
  if (!(seconds >= minInterval && seconds <= 3600)) {
    return yield* failUsage(
      `--watch takes seconds, from ${minInterval} to 3600`,
      "For instance: secrets status --watch 2"
    )
  }
  const { socketPath, timeout } = yield* loadDaemon(args)
  const isDumb = process.env["TERM"] === "dumb"
  if (!process.stdout.isTTY || isDumb || args.flag("json")) return yield* requireTerminal
  return yield* watchStatus({
    socketPath,
    every: seconds * 1000,
    patience: Duration.toMillis(timeout),
    colour: (process.env["NO_COLOR"] ?? "") === ""
  })
})

/** Between two looks at a daemon that answers and does not serve yet, or no more. */
const interval = Duration.millis(200)

const waitUntilServing = Effect.fnUntraced(function* (args: StatusArgs) {
  const patience = yield* patienceOf(args.option("wait") ?? "")
  const daemon = yield* loadDaemon(args)
  const begun = yield* Clock.currentTimeMillis
  const left = Effect.map(Clock.currentTimeMillis, (now) => patience - (now - begun))
  while (true) {
    const millis = Math.max(1, yield* left)
    const found = yield* Effect.result(askOnce({ ...daemon, timeout: Duration.millis(millis) }, args))
    const problem = Result.isFailure(found) ? found.failure : found.success.problem
    if (Result.isSuccess(found) && problem === undefined) return found.success
    if (problem?.exitStatus === exitStatus.permission) return yield* new CommandError(problem)
    if ((yield* left) <= Duration.toMillis(interval)) {
      return yield* new CommandError({
        message: `the daemon does not serve after ${args.option("wait")}`,
        why: [problem?.message, problem?.why].filter((text) => text !== undefined).join(": "),
        fix: problem?.fix ?? "",
        code: "daemon_unavailable",
        exitStatus: exitStatus.unavailable
      })
    }
    yield* Effect.sleep(interval)
  }
})

const patienceOf = Effect.fnUntraced(function* (given: string) {
  const parsed = GoDuration.parseDuration(/^[\d.]+$/.test(given) ? `${given}s` : given)
  if (Result.isFailure(parsed) || parsed.success <= 0n) {
    return yield* failUsage("--wait takes a duration above 0", "For instance: secrets status --wait 30s")
  }
  return GoDuration.toMillis(parsed.success)
})

const askOnce = Effect.fnUntraced(function* (daemon: DaemonAddress, args: StatusArgs) {
  const found = yield* asked(daemon, "secrets.status")
  const more = yield* Effect.orElseSucceed(asked(daemon, "daemon.status"), () => undefined)
  const output: Output | undefined = statusCommand.render([found, more], { args, socketPath: daemon.socketPath })
  return output ?? (yield* new CommandError(protocolProblem("secrets.status has an unexpected result")))
})

const asked = (daemon: DaemonAddress, method: MethodName) =>
  Effect.mapError(request(daemon, method, {}), (error: ClientError) => fromClient(error))
