/**
 * The process groups that this process has started with a time limit, for a record of them that
 * outlives it: killed itself, it ends none of them. Where nothing keeps a record, nothing is recorded.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

export interface ChildRecord {
  /** Adds a process group. It is not to run after `until`, in milliseconds. */
  readonly add: (pid: number, startedAt: number, until: number) => void
  readonly remove: (pid: number) => void
}

export const CurrentChildRecord = Context.Reference<ChildRecord | undefined>("agent-secrets/ChildRecord", {
  defaultValue: () => undefined
})

/** Records a process group until the scope closes. */
export const recordChild = Effect.fnUntraced(function* (pid: number, timeoutMillis: number) {
  const record = yield* CurrentChildRecord
  if (record === undefined || !Number.isFinite(timeoutMillis)) return
  const now = yield* Clock.currentTimeMillis
  record.add(pid, now, now + timeoutMillis)
  yield* Effect.addFinalizer(() => Effect.sync(() => record.remove(pid)))
})
