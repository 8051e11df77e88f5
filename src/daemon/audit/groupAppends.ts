/**
 * Appends that wait at the same time are written as one group, with one flush.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Semaphore from "effect/Semaphore"
import type { AuditFact } from "../../domain/AuditEntry.ts"
import { factsOf } from "../../domain/Caller.ts"
import type { CommitChange } from "./AuditCommit.ts"
import { appendFailed, type AuditLogError } from "./AuditLogError.ts"
import type { AuditPosition } from "./AuditPosition.ts"
import { CurrentCaller } from "./CurrentCaller.ts"

/** An append that waits for its group to be written, and its result. */
interface PendingAppend {
  readonly facts: ReadonlyArray<AuditFact>
  readonly change: CommitChange | undefined
  written: Exit.Exit<AuditPosition, AuditLogError> | undefined
}

const reasonOf = (cause: Cause.Cause<AuditLogError>): string =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => "internal error",
    onSome: (error) => error.cause.message
  })

const isChanged = (cause: Cause.Cause<AuditLogError>): boolean =>
  Option.exists(Cause.findErrorOption(cause), (error) => error.cause._tag === "TeamChanged")

/** Returns an `append` over a function that writes one group at a time. */
export const groupAppends = Effect.fnUntraced(function* (
  write: (facts: ReadonlyArray<AuditFact>, change?: CommitChange) => Effect.Effect<void, AuditLogError["cause"]>,
  positionNow: () => AuditPosition
) {
  const writeLock = yield* Semaphore.make(1)
  const waiting: Array<PendingAppend> = []
  let failure: string | undefined
  const newFailures = yield* Queue.sliding<string>(1)

  /** Writes all waiting appends as one group and stores the result in each. */
  const writeWaiting = Effect.gen(function* () {
    // One with a change is alone: it may be rejected where the others are not.
    const changing = waiting.findIndex(({ change }) => change !== undefined)
    const group = waiting.splice(0, changing < 0 ? waiting.length : Math.max(changing, 1))
    const written = write(
      group.flatMap(({ facts }) => facts),
      group[0]?.change
    )
    const exit = yield* Effect.exit(Effect.mapError(written, appendFailed))
    const previous = failure
    // Another machine was first: the log is sound, and the change is tried again.
    const isStale = Exit.isFailure(exit) && isChanged(exit.cause)
    failure = isStale ? previous : Exit.match(exit, { onFailure: reasonOf, onSuccess: () => undefined })
    if (previous === undefined && failure !== undefined) Queue.offerUnsafe(newFailures, failure)
    for (const member of group) member.written = Exit.map(exit, positionNow)
  })

  const append = (facts: ReadonlyArray<AuditFact>, change?: CommitChange) =>
    Effect.withFiber((fiber) => {
      const all = factsOf(fiber.getRef(CurrentCaller), facts)
      const pending: PendingAppend = { facts: all, change, written: undefined }
      waiting.push(pending)
      // The first append to get the lock writes for all that wait.
      const writeOnce = Effect.suspend(() => (pending.written === undefined ? writeWaiting : Effect.void))
      const result = Effect.suspend(() => pending.written ?? Effect.die("an append was not written"))
      return Effect.andThen(Semaphore.withPermit(writeLock)(writeOnce), result)
    }).pipe(Effect.uninterruptible)

  return {
    append,
    /** Returns why the last append failed; undefined if it succeeded. */
    failure: () => failure,
    /** Waits until an append fails after one that succeeded; returns the reason. */
    nextFailure: Queue.take(newFailures)
  }
})
