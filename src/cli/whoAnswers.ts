/**
 * Whether a daemon answers on a socket, and which process it is.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { call } from "../rpc/client.ts"

const Serving = Schema.Struct({ running: Schema.Literal(true) })
const Process = Schema.Struct({ pid: Schema.Int })

/** Longer than a daemon takes that is busy; one that hangs is told from that by nothing else. */
const timeout = Duration.seconds(2)

/** Undefined if nobody does; `pid` is undefined for the predecessor, which does not tell. */
export const whoAnswers = (socketPath: string): Effect.Effect<{ readonly pid: number | undefined } | undefined> =>
  Effect.gen(function* () {
    const asked = { socketPath, timeout }
    yield* call(asked, "secrets.status", {}, Serving)
    const pid = yield* call(asked, "daemon.status", {}, Process).pipe(
      Effect.map((told): number | undefined => told.pid),
      Effect.catch(() => Effect.succeed(undefined))
    )
    return { pid }
  }).pipe(Effect.catch(() => Effect.succeed(undefined)))
