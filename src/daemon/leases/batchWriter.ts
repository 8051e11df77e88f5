/**
 * One fiber that takes what waits, in the order of its arrival, a batch at a time.
 *
 * Each writer to the queue waits for the reply, so the queue is bounded by the requests in
 * progress. A batch that dies fails each of its members, and the next one runs.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type { Caller } from "../../domain/Caller.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"

/** Members per batch: enough that the flush does not limit throughput, few enough for a short pause. */
const maxBatch = 256

interface Member<T> {
  readonly task: T
  /** Fails the member, because its batch died. */
  readonly abandon: (cause: Cause.Cause<never>) => void
}

export interface BatchWriter<T> {
  /** Adds a task, and waits for what it passes to `reply`. */
  readonly enqueue: <A, E>(task: (reply: (exit: Exit.Exit<A, E>) => void, caller: Caller) => T) => Effect.Effect<A, E>
  /** Ends the writer after all that wait. */
  readonly stop: Effect.Effect<void>
}

export const startBatchWriter = Effect.fnUntraced(function* <T>(
  commit: (batch: ReadonlyArray<T>) => Effect.Effect<void>
) {
  const queue = yield* Queue.unbounded<Member<T>, Cause.Done>()
  const commitOrAbandon = (batch: ReadonlyArray<Member<T>>) =>
    Effect.catchCause(commit(batch.map(({ task }) => task)), (cause) => {
      for (const member of batch) member.abandon(cause)
      return Effect.logFatal("the lease table failed", cause)
    })
  const writer = yield* Queue.takeBetween(queue, 1, maxBatch).pipe(
    Effect.flatMap(commitOrAbandon),
    Effect.forever,
    Effect.ignore,
    Effect.uninterruptible,
    Effect.forkDetach
  )
  const enqueue: BatchWriter<T>["enqueue"] = (task) =>
    Effect.withFiber((fiber) =>
      Effect.callback((reply) => {
        const member = {
          task: task(reply, fiber.getRef(CurrentCaller)),
          abandon: (cause: Cause.Cause<never>) => reply(Exit.failCause(cause))
        }
        if (!Queue.offerUnsafe(queue, member)) reply(Effect.interrupt)
      })
    )
  const stop = Effect.asVoid(Effect.andThen(Queue.end(queue), Fiber.await(writer)))
  return { enqueue, stop } satisfies BatchWriter<T>
})
