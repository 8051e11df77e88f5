/**
 * Lost events are counted in the audit log, at most once a minute and at the stop.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { reportDroppedEvents } from "../../../src/daemon/lifecycle/watches.ts"
import { OtelSink } from "../../../src/otel/OtelSink.ts"
import { memoryAuditLog } from "../../support/memoryAuditLog.ts"

describe("reportDroppedEvents", () => {
  it.effect("records the events lost since the last entry, after a minute or at the stop", () => {
    let lost = 0
    const losing = Layer.succeed(OtelSink, {
      emit: () => Effect.void,
      dropped: Effect.sync(() => lost),
      state: Effect.succeed([])
    })
    const recorded = Effect.map(
      AuditLog.use((audit) => audit.tail(10)),
      (entries) => entries.map(({ action, details, success }) => `${action} ${success}: ${details}`)
    )
    return Effect.gen(function* () {
      const watching = yield* Effect.forkChild(reportDroppedEvents, { startImmediately: true })
      lost = 3
      yield* TestClock.adjust("59999 millis")
      assert.deepStrictEqual(yield* recorded, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* recorded, ["sink_dropped false: 3 events were lost"])
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* recorded).length, 1)
      lost = 4
      yield* Fiber.interrupt(watching)
      assert.deepStrictEqual((yield* recorded).slice(1), ["sink_dropped false: 1 event was lost"])
    }).pipe(Effect.provide(Layer.merge(memoryAuditLog, losing)))
  })
})
