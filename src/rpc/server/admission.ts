/**
 * Decides when work may begin, so that no client holds up the others or fills the memory.
 *
 * Small requests and small replies pass at once, without a fiber or a queue. Large ones share
 * a budget and wait for one another. Two request queues run one request at a time each:
 * changes of the store, and reads of the log or of every lease. methods.ts assigns a queue to
 * each method; limits.ts has the numbers.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as limits from "../protocol/limits.ts"
import { type MethodName, methods } from "../protocol/methods.ts"
import { ConnectionState } from "../transport/Connections.ts"

/** Why a request was not begun. */
export type NotStarted = "stopping" | "client left"

export interface Admission {
  /** Runs the work of a request that has so many bytes. */
  readonly forRequest: <A, E, R>(bytes: number, work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs the work of a method in its queue; `otherwise` returns the outcome of work that was not begun. */
  readonly forMethod: <A, E, R>(
    method: MethodName,
    work: Effect.Effect<A, E, R>,
    otherwise: (reason: NotStarted) => A
  ) => Effect.Effect<A, E, R>
  /** Encodes a reply; a large one is not encoded for a client that has left, and is empty then. */
  readonly forReply: <R>(
    result: unknown,
    encode: () => Effect.Effect<string, never, R>
  ) => Effect.Effect<string, never, R>
  /** Lets other connections run, between the requests and the chunks of one that sends many. */
  readonly betweenRequests: Effect.Effect<void>
}

export const makeAdmission: Effect.Effect<Admission> = Effect.gen(function* () {
  const budget = yield* Semaphore.make(limits.largeRequestBudget)
  const queues = { write: yield* Semaphore.make(1), scan: yield* Semaphore.make(1) }
  const chunkTurns = yield* Semaphore.make(1)
  const bulkTurns = yield* Semaphore.make(1)
  /** Gives the others some time before work that cannot be interrupted. */
  const awaitBulkTurn = Effect.flatMap(ConnectionState, ({ closed }) =>
    Effect.raceFirst(
      Effect.interruptible(bulkTurns.withPermit(Effect.andThen(Effect.sleep(limits.yieldInterval), emptyTurn))),
      Effect.interruptible(closed)
    )
  )

  return {
    forRequest: (bytes, work) => {
      if (bytes <= limits.smallRequestBytes) return work
      return budget.withPermits(bytes)(bytes <= limits.bulkBytes ? work : Effect.andThen(awaitBulkTurn, work))
    },

    forMethod: (method, work, otherwise) => {
      const { queue } = methods[method]
      if (queue === "immediate") return work
      return inQueue(queues[queue], work, otherwise)
    },

    forReply: (result, encode) =>
      isLarge(result)
        ? Effect.flatMap(Effect.andThen(awaitBulkTurn, ConnectionState), ({ isClosed }) =>
            isClosed() ? Effect.succeed("") : encode()
          )
        : encode(),

    betweenRequests: chunkTurns.withPermit(Effect.repeat(Effect.yieldNow, { times: limits.yieldsPerTurn }))
  }
})

/** Waits for the queue, and runs the work in it. */
const inQueue = Effect.fnUntraced(function* <A, E, R>(
  queue: Semaphore.Semaphore,
  work: Effect.Effect<A, E, R>,
  otherwise: (reason: NotStarted) => A
) {
  const { closed, stopping } = yield* ConnectionState
  const first = yield* Effect.raceAllFirst([
    Effect.as(Effect.interruptible(Semaphore.take(queue, 1)), "admitted" as const),
    Effect.as(Effect.interruptible(stopping), "stopping" as const),
    Effect.as(Effect.interruptible(closed), "client left" as const)
  ])
  if (first !== "admitted") return otherwise(first)
  return yield* Effect.ensuring(work, Semaphore.release(queue, 1))
})

/**
 * Waits for a turn of the event loop in which nothing else runs, up to a limit. Node accepts one connection in a turn, so a
 * long step in each turn would delay all connections that wait.
 */
const emptyTurn = Effect.gen(function* () {
  const begun = yield* Clock.monotonicTimeNanos
  let [before, now] = [begun, begun]
  do {
    before = now
    yield* Effect.yieldNow
    now = yield* Clock.monotonicTimeNanos
  } while (now - before > limits.emptyTurnNanos && now - begun < limits.longestYieldNanos)
})

/** Returns whether a result holds a string or a list that is slow to encode. */
const isLarge = (result: unknown): boolean =>
  typeof result === "object" &&
  result !== null &&
  Object.values(result).some(
    (member) =>
      (typeof member === "string" && member.length > limits.bulkBytes) ||
      (Array.isArray(member) && member.length > limits.bulkListLength)
  )
