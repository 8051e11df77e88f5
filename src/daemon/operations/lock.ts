/**
 * lock and unlock: while the store is locked, no lease is issued and nothing is changed.
 *
 * A lock ends no lease: the values are outside, and the leases show where. The transaction that
 * records it runs after all that were waiting, so no lease is issued after its reply.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { lockFact } from "../../domain/storeFacts.ts"
import * as OtelEvent from "../../otel/OtelEvent.ts"
import { OtelSink } from "../../otel/OtelSink.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { Runs } from "../runs/Runs.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import { forgetApprovals } from "./requests.ts"

export const lockStore = Effect.fn("lock")(function* () {
  const secrets = yield* SecretStore
  const leases = yield* LeaseRepo
  const sink = yield* OtelSink
  const { table } = yield* Runs
  const runIds = [...table.all()].map(({ id }) => id)
  const record = leases.transaction({ _tag: "Leases", ids: [] }, (tx) => {
    tx.record(lockFact)
    return Result.succeed(undefined)
  })
  const activeLeases = yield* leases.activeCount
  const done = yield* Effect.tapError(secrets.lock(record), ({ message }) => Effect.logError(message))
  yield* forgetApprovals
  if (!done.already) yield* Effect.logWarning("the store is locked: no lease and no change until secrets unlock")
  yield* sink.emit(OtelEvent.storeLocked({ activeLeases, secretCount: yield* secrets.count }))
  return { ...done, activeLeases, runIds }
})

/** Returns since when the store was locked; undefined if it was not. */
export const unlockStore = Effect.fn("unlock")(function* () {
  const secrets = yield* SecretStore
  const sink = yield* OtelSink
  const lockedSince = yield* secrets.unlock
  if (lockedSince === undefined) return undefined
  yield* Effect.logWarning("the store is unlocked")
  yield* sink.emit(OtelEvent.storeUnlocked({ lockedSince }))
  return lockedSince
})
