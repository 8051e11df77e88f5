/**
 * Requests that take their time stand in line, one line for what changes the store
 * and one for what reads the log: so what they hold of memory does not add up, and
 * what has not begun when the daemon stops is told so instead of being waited for.
 * Everything else, leases above all, waits for none of them.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { type MethodName, methods } from "../protocol/methods.ts"
import { ConnectionState } from "../transport/Connections.ts"

/** Why a request has not begun. */
export type NotStarted = "stopping" | "client left"

/** Runs the work of a method in its line; `orElse` says what comes of one that has not begun. */
export type RequestQueues = <A, E, R>(
  method: MethodName,
  work: Effect.Effect<A, E, R>,
  orElse: (because: NotStarted) => A
) => Effect.Effect<A, E, R>

export const makeRequestQueues: Effect.Effect<RequestQueues> = Effect.gen(function* () {
  const semaphores = { write: yield* Semaphore.make(1), scan: yield* Semaphore.make(1) }
  return <A, E, R>(method: MethodName, work: Effect.Effect<A, E, R>, orElse: (because: NotStarted) => A) => {
    const { queue } = methods[method]
    if (queue === "immediate") return work
    const semaphore = semaphores[queue]
    return Effect.gen(function* () {
      const { closed, stopping } = yield* ConnectionState
      const turn = yield* Effect.raceAllFirst([
        Effect.as(Effect.interruptible(Semaphore.take(semaphore, 1)), "mine" as const),
        Effect.as(Effect.interruptible(stopping), "stopping" as const),
        Effect.as(Effect.interruptible(closed), "client left" as const)
      ])
      if (turn !== "mine") return orElse(turn)
      return yield* Effect.ensuring(work, Semaphore.release(semaphore, 1))
    })
  }
})
