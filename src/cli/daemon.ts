/**
 * secrets daemon restart: a fresh daemon, by way of its supervisor.
 *
 * It is done when a daemon answers that was started later than the one that was
 * asked; without a supervisor nobody starts one, and this says so.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { Daemon } from "../rpc/client.ts"
import { call } from "../rpc/client.ts"
import { define } from "./Command.ts"
import { exitCode } from "./exitCode.ts"
import { Failure, fromClient, misuse } from "./Failure.ts"
import { loadDaemon } from "./settings.ts"

const Accepted = Schema.Struct({ accepted: Schema.Literal(true) })
const Started = Schema.Struct({ running: Schema.Boolean, started_at: Schema.String })

/** A supervisor may wait ten seconds between two starts. */
const patience = Duration.seconds(15)

export const daemon = define({
  name: "daemon",
  summary: "Have the supervisor start a fresh daemon",
  operands: "restart",
  arity: [1, 1],
  completes: ["restart"],
  flags: {},
  examples: ["secrets daemon restart"],
  run: Effect.fnUntraced(function* (line) {
    if (line.operands[0] !== "restart")
      return yield* misuse("the only thing to do is restart", "secrets daemon restart")
    const asked = yield* loadDaemon(line)
    const before = yield* Effect.mapError(call(asked, "secrets.status", {}, Started), fromClient)
    yield* Effect.mapError(call(asked, "daemon.restart", {}, Accepted), fromClient)
    const after = yield* fresh(asked, before.started_at)
    return { text: `restarted; running since ${after.started_at}\n`, result: after }
  })
})

const fresh = (asked: Daemon, startedBefore: string) =>
  call(asked, "secrets.status", {}, Started).pipe(
    Effect.filterOrFail(({ running, started_at }) => running && started_at !== startedBefore),
    Effect.retry(Schedule.spaced("200 millis")),
    Effect.timeout(patience),
    Effect.mapError(
      () =>
        new Failure({
          message: "the daemon stopped, and no fresh one answered within 15 s",
          code: "daemon_unavailable",
          fix: "Nobody keeps it alive, it seems. Start it with: secrets serve",
          exitCode: exitCode.unavailable
        })
    )
  )
