/**
 * secrets daemon restart: a fresh daemon, by way of whoever keeps it alive.
 *
 * It is done when a daemon answers that was started later than the one that was
 * asked. Where the service is installed, its supervisor is told; anywhere else the
 * daemon is asked to end, and a supervisor that we do not know starts the next one.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type { DaemonAddress } from "../../../rpc/client/client.ts"
import { call } from "../../../rpc/client/client.ts"
import { literal } from "../../../rpc/protocol/shape.ts"
import type { DaemonArgs } from "./daemonFlags.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError, fromClient } from "../../command/CommandError.ts"
import type { InstalledService } from "./installedService.ts"
import { installedService } from "./installedService.ts"
import { loadDaemon } from "../../command/settings.ts"
import { toolError } from "./serviceErrors.ts"

const acceptedExample = { accepted: literal(true) }
const startedExample = { running: true, started_at: "" }

/** A supervisor may wait ten seconds between two starts. */
const patience = Duration.seconds(15)

export const restartService = Effect.fnUntraced(function* (args: DaemonArgs) {
  // Whoever names a socket means the daemon there, which need not be the service.
  const named = (args.option("socket") ?? args.option("config")) !== undefined
  const service = named ? undefined : yield* installedService(args)
  const asked = service?.daemon ?? (yield* loadDaemon(args))
  const status = call(asked, "secrets.status", {}, startedExample)
  if (service === undefined || service.job.phase === "unloaded") {
    const before = yield* Effect.mapError(status, fromClient)
    yield* Effect.mapError(call(asked, "daemon.restart", {}, acceptedExample), fromClient)
    return yield* fresh(asked, before.started_at, "Nobody keeps it alive, it seems. Start it with: secrets serve")
  }
  const before = Option.getOrUndefined(yield* Effect.option(status))
  yield* had(service, asked)
  return yield* fresh(asked, before?.started_at, "See why: secrets daemon status")
})

/** The supervisor ends it and starts the next, at once; one that asks more roughly is used where the daemon does not hear. */
const had = Effect.fnUntraced(function* ({ supervisor, withSocket }: InstalledService, asked: DaemonAddress) {
  if (!supervisor.restartsInOrder) {
    const accepted = yield* Effect.result(call(asked, "daemon.restart", {}, acceptedExample))
    if (Result.isSuccess(accepted)) return
    const deaf = accepted.failure._tag === "DaemonUnavailable" || accepted.failure._tag === "NoAnswer"
    if (!deaf) return yield* fromClient(accepted.failure)
  }
  for (const step of supervisor.steps("restart", withSocket)) yield* Effect.mapError(supervisor.run(step), toolError)
})

const fresh = (asked: DaemonAddress, startedBefore: string | undefined, fix: string) =>
  call(asked, "secrets.status", {}, startedExample).pipe(
    Effect.filterOrFail(({ running, started_at }) => running && started_at !== startedBefore),
    Effect.retry(Schedule.spaced("200 millis")),
    Effect.timeout(patience),
    Effect.mapBoth({
      onFailure: () =>
        new CommandError({
          message: "the daemon stopped, and no fresh one answered within 15 s",
          code: "daemon_unavailable",
          fix,
          exitStatus: exitStatus.unavailable
        }),
      onSuccess: (after) => ({
        text: `restarted; running since ${after.started_at}\n`,
        result: { running: after.running, started_at: after.started_at }
      })
    })
  )
