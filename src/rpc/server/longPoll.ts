/**
 * A request that waits for something to happen. It ends at its timeout, at a stop of the daemon,
 * and when its client leaves; it delays neither a stop nor the freeing of its connection.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ConnectionState } from "../transport/Connections.ts"

/** What ended the wait. */
export type Waited<A> = { readonly ready: A } | "time is over" | "stopping" | "client left"

/** No client waits longer in one request: many cut off one that takes a minute. */
export const longestPoll = 50

/** Waits until `ready` completes. */
export const longPoll = <A, E, R>(
  ready: Effect.Effect<A, E, R>,
  timeout: Duration.Input
): Effect.Effect<Waited<A>, E, R> =>
  Effect.flatMap(ConnectionState, ({ left, markServed, stopping }) => {
    markServed()
    return Effect.raceAllFirst<Effect.Effect<Waited<A>, E, R>>([
      Effect.map(Effect.interruptible(ready), (value) => ({ ready: value })),
      Effect.as(Effect.interruptible(Effect.sleep(timeout)), "time is over"),
      Effect.as(Effect.interruptible(stopping), "stopping"),
      Effect.as(Effect.interruptible(left), "client left")
    ])
  })
