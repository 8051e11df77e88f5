/**
 * Requests that take their time stand in line, one line for what changes the store
 * and one for what reads the log: so what they hold of memory does not add up, and
 * what has not begun when the daemon stops is told so instead of being waited for.
 * Everything else, leases above all, waits for none of them.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { Account } from "./Connections.ts"

/** The daemon stops, or the client has left, before the request has begun. */
export class NotBegun extends Data.TaggedError("NotBegun")<{ readonly because: "stopping" | "client left" }> {}

const lines: ReadonlyMap<string, "store" | "log"> = new Map([
  ["secrets.add", "store"],
  ["secrets.update", "store"],
  ["secrets.delete", "store"],
  ["secrets.audit", "log"],
  ["secrets.health", "log"],
  ["secrets.list", "log"],
  ["secrets.marks", "log"],
  ["secrets.recognize", "log"],
  ["secrets.leases", "log"],
  // It looks at every lease while all that acquire wait for it: not for many who ask for nothing else.
  ["secrets.revokeMatching", "log"],
  ["daemon.status", "log"],
  ["daemon.metrics", "log"]
])

/** Runs the work of a method in its line. */
export type Lanes = <A, E, R>(method: string, work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | NotBegun, R>

export const makeLanes: Effect.Effect<Lanes> = Effect.gen(function* () {
  const semaphores = { store: yield* Semaphore.make(1), log: yield* Semaphore.make(1) }
  return <A, E, R>(method: string, work: Effect.Effect<A, E, R>): Effect.Effect<A, E | NotBegun, R> => {
    const line = lines.get(method)
    if (line === undefined) return work
    const semaphore = semaphores[line]
    return Effect.gen(function* () {
      const { closed, stopping } = yield* Account
      const turn = yield* Effect.raceAllFirst([
        Effect.as(Effect.interruptible(Semaphore.take(semaphore, 1)), "mine" as const),
        Effect.as(Effect.interruptible(stopping), "stopping" as const),
        Effect.as(Effect.interruptible(closed), "client left" as const)
      ])
      if (turn !== "mine") return yield* new NotBegun({ because: turn })
      return yield* Effect.ensuring(work, Semaphore.release(semaphore, 1))
    })
  }
})
