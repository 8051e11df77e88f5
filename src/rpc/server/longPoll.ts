/**
 * A request that waits for something to happen. It ends at its timeout, at a stop of the daemon,
 * and when its client leaves; it delays neither a stop nor the freeing of its connection.
 *
 * Thousands wait at a time, and one event may end all of them: each has one fiber beside its own, for the timeout.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ConnectionState, type WaitEnd } from "../transport/Connections.ts"

/** What ended the wait. */
export type Waited = "ready" | "time is over" | WaitEnd

/** No client waits longer in one request: many cut off one that takes a minute. */
export const longestPoll = 50

/** Waits until `onReady` calls back; it returns what ends that. */
export const longPoll = (onReady: (done: () => void) => () => void, timeout: Duration.Input): Effect.Effect<Waited> =>
  Effect.gen(function* () {
    const { markServed, onWaitEnd } = yield* ConnectionState
    markServed()
    const timer = yield* Effect.forkChild(Effect.interruptible(Effect.sleep(timeout)), { startImmediately: true })
    return yield* Effect.callback<Waited>((resume) => {
      let cancels: ReadonlyArray<() => void> = []
      let isOver = false
      const stop = (): void => {
        for (const cancel of cancels) cancel()
        timer.interruptUnsafe()
      }
      const end = (how: Waited): void => {
        if (isOver) return
        isOver = true
        stop()
        resume(Effect.succeed(how))
      }
      cancels = [timer.addObserver(() => end("time is over")), onWaitEnd(end), onReady(() => end("ready"))]
      // It may have ended at once.
      if (isOver) stop()
      return Effect.sync(() => {
        isOver = true
        stop()
      })
    })
  })
