/**
 * A line about a long wait: callers end a command that is silent for long.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { DaemonAddress } from "../../rpc/client/client.ts"
import { printNotice } from "./Output.ts"

/** A daemon that does not answer is reported first. */
const grace = Duration.millis(200)

/** Prints the line where the effect takes longer than what is left of the usual time (`sharedTimeout`). */
export const noticeWhenLate =
  (rest: Effect.Effect<DaemonAddress>, line: string, print = printNotice) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const notice = Effect.flatMap(rest, ({ timeout }) =>
      Effect.delay(
        Effect.sync(() => print(line)),
        Duration.sum(timeout, grace)
      )
    )
    return Effect.raceFirst(effect, Effect.andThen(notice, Effect.never))
  }
