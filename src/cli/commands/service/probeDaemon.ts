/**
 * Whether a daemon answers on a socket, and which process it is.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { call } from "../../../rpc/client/client.ts"
import { literal } from "../../../rpc/protocol/shape.ts"

const servingExample = { running: literal(true) }
const processExample = { pid: 0 }

/** Longer than a daemon takes that is busy; one that hangs is told from that by nothing else. */
const timeout = Duration.seconds(2)

/** Undefined if nobody does; `pid` is undefined for the predecessor, which does not tell. */
export const probeDaemon = (socketPath: string): Effect.Effect<{ readonly pid: number | undefined } | undefined> =>
  Effect.gen(function* () {
    const asked = { socketPath, timeout }
    yield* call(asked, "secrets.status", {}, servingExample)
    const pid = yield* call(asked, "daemon.status", {}, processExample).pipe(
      Effect.map((told): number | undefined => told.pid),
      Effect.catch(() => Effect.succeed(undefined))
    )
    return { pid }
  }).pipe(Effect.catch(() => Effect.succeed(undefined)))
