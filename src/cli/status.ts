/**
 * secrets status: exit status 0 means that the daemon is serving, now.
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { parse } from "../domain/Timestamp.ts"
import { call } from "../rpc/client.ts"
import { define } from "./Command.ts"
import { exitCode } from "./exitCode.ts"
import { Failure, fromClient } from "./Failure.ts"
import { loadDaemon } from "./settings.ts"

const Status = Schema.Struct({
  running: Schema.Boolean,
  started_at: Schema.String,
  secrets_count: Schema.Int,
  active_leases: Schema.Int,
  store_state: Schema.optionalKey(Schema.String)
})

export const status = define({
  name: "status",
  summary: "Tell whether the daemon is serving",
  arity: [0, 0],
  flags: {},
  examples: ["secrets status", "secrets status --json --timeout 2"],
  run: Effect.fnUntraced(function* (line) {
    const daemon = yield* loadDaemon(line)
    const found = yield* Effect.mapError(call(daemon, "secrets.status", {}, Status), fromClient)
    if (!found.running) {
      return yield* new Failure({
        message: "the daemon is stopping",
        code: "daemon_unavailable",
        fix: "Wait until it is gone, then start it with: secrets serve",
        exitCode: exitCode.unavailable
      })
    }
    const now = DateTime.toEpochMillis(yield* DateTime.now)
    const up = Option.match(parse(found.started_at), {
      onNone: () => "",
      onSome: (at) => ` (up ${span(now - at.millis)})`
    })
    return {
      text: [
        `running since ${found.started_at}${up}`,
        `secrets       ${found.secrets_count}`,
        `active leases ${found.active_leases}`,
        `socket        ${daemon.socketPath}`,
        ""
      ].join("\n"),
      result: { ...found, socket: daemon.socketPath }
    }
  })
})

/** Whole minutes, hours and days: `3m`, `1h 3m`, `2d 1h 3m`. */
const span = (millis: number): string => {
  const minutes = Math.floor(millis / 60_000)
  const parts = [
    [Math.floor(minutes / 1440), "d"],
    [Math.floor(minutes / 60) % 24, "h"]
  ].filter(([count]) => count !== 0)
  return [...parts.map(([count, unit]) => `${count}${unit}`), `${minutes % 60}m`].join(" ")
}
