/** What other machines recorded, as this one reads it from the database, page by page. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import type { OtherExposures } from "../../../src/daemon/audit/OtherLogs.ts"
import { makeOtherLogs, pageSize } from "../../../src/daemon/team/otherLogs.ts"
import { chainFacts, genesis } from "../../../src/domain/AuditChain.ts"
import type { AuditFact } from "../../../src/domain/AuditEntry.ts"
import { expireFact, revokeFact } from "../../../src/domain/leaseFacts.ts"
import { addFact, changeFailedFact, deleteFact, updateFact } from "../../../src/domain/storeFacts.ts"
import { TeamAway } from "../../../src/domain/Team.ts"
import { fromMillis } from "../../../src/domain/Timestamp.ts"

const lease = (clientId: string) => ({ id: `id-of-${clientId}`, clientId, secretName: "db" })

/** A database with the chain of m2, which answers as `read_1` does. */
const otherLogs = (since: () => number | undefined = () => 7) => {
  const lines: Array<string> = []
  const asked: Array<any> = []
  let head = genesis
  let isOld = false
  /** The number of the question that gets no answer. */
  let failing = 0
  let pause: Duration.Input = 0
  const record = (...facts: ReadonlyArray<AuditFact>) => {
    const chained = chainFacts(facts, fromMillis(1_800_000_000_000), head)
    head = chained.head
    lines.push(...chained.text.trimEnd().split("\n"))
  }
  const logs = makeOtherLogs({
    name: "m1",
    interval: Duration.seconds(5),
    since,
    read: (what, schema, more: any = {}) => {
      if (what === "heads") return Schema.decodeUnknownEffect(schema)([{ name: "m1", base_seq: 3 }]).pipe(Effect.orDie)
      asked.push(more)
      if (asked.length === failing) return Effect.fail(new TeamAway({ reason: "a test" }))
      const after = more.after["m2"] ?? 0
      const read = Math.min(after + pageSize, lines.length)
      const found = lines
        .slice(after, read)
        .filter((line) => more.actions.includes(/"action":"([a-z_]*)"/.exec(line)?.[1]))
      const pages = isOld ? undefined : [{ name: "m2", read, end: lines.length, lines: found }]
      return Effect.andThen(Effect.sleep(pause), Schema.decodeUnknownEffect(schema)(pages).pipe(Effect.orDie))
    }
  })
  const next = Effect.map(logs.nextNotices, (notices) =>
    notices.map(({ clientId, isEarlier, kind, machine, secretName, seq }) =>
      [kind, secretName ?? clientId, `${machine} ${seq}`, ...(isEarlier ? ["earlier"] : [])].join(" ")
    )
  )
  return {
    record,
    next,
    asked,
    logs,
    makeOld: () => void (isOld = true),
    slow: (time: Duration.Input) => void (pause = time),
    fail: (question: number) => void (failing = question)
  }
}

describe("the logs of other machines", () => {
  it.effect("are read from the last entry here before the start, and then from where they were read", () =>
    Effect.gen(function* () {
      let since: number | undefined
      const { asked, next, record } = otherLogs(() => since)
      record(addFact("db"), revokeFact(lease("a")), expireFact(lease("b")))
      assert.deepStrictEqual(yield* next, [], "this machine has not entered yet")
      since = 7
      // This machine expires its own leases at a start.
      assert.deepStrictEqual(yield* next, ["revoked db m2 2 earlier"])
      record(revokeFact(lease("c")), expireFact(lease("d")))
      assert.deepStrictEqual(yield* next, ["revoked db m2 4", "expired db m2 5"])
      assert.deepStrictEqual(yield* next, [])
      assert.deepStrictEqual(
        asked.map(({ after, since: from }) => [from, after]),
        [
          [7, {}],
          [7, { m2: 3 }],
          [7, { m2: 5 }]
        ]
      )
      assert.notInclude(asked[0].actions, "store_lock")
    })
  )

  it.effect("tell of a change once it is committed, and not of one that failed", () =>
    Effect.gen(function* () {
      const { next, record } = otherLogs()
      record(updateFact("db"), deleteFact("mail"), updateFact("api"))
      assert.deepStrictEqual(yield* next, [])
      record(changeFailedFact({ ...updateFact("api"), secret_name: "api" }))
      assert.deepStrictEqual(yield* next, ["changed db m2 1 earlier", "deleted mail m2 2 earlier"])
      assert.deepStrictEqual(yield* next, [])
    })
  )

  it.effect("are read to their end, and nothing is lost if a page does not come", () =>
    Effect.gen(function* () {
      const { asked, fail, next, record } = otherLogs()
      record(updateFact("db"), ...Array.from({ length: 2 * pageSize }, (_, at) => revokeFact(lease(`c${at}`))))
      fail(2)
      assert.strictEqual((yield* Effect.flip(next))._tag, "TeamAway")
      assert.lengthOf(yield* next, 2 * pageSize)
      assert.lengthOf(asked, 4)
      assert.deepStrictEqual(yield* next, ["changed db m2 1 earlier"])
    })
  )

  it.effect("are not read in a database whose functions are older", () =>
    Effect.gen(function* () {
      const { makeOld, next, record } = otherLogs()
      record(revokeFact(lease("a")))
      makeOld()
      assert.include((yield* Effect.flip(next)).reason, "secrets team migrate")
    })
  )

  it.effect("tell who was given a value by another machine", () =>
    Effect.gen(function* () {
      const { logs, record, slow } = otherLogs()
      const acquire = (clientId: string): AuditFact => ({
        action: "lease_acquire",
        secret_name: "db",
        client_id: clientId,
        lease_id: clientId,
        success: true
      })
      record(addFact("db"), acquire("a"))
      yield* logs.exposures
      record(acquire("a"), acquire("b"))
      const { isComplete, joined, machines } = yield* logs.exposures
      const [value] = machines.get("m2")?.valuesOf("db") ?? []
      assert.deepStrictEqual(
        value?.handouts.map(({ client, times }) => [client, times]),
        [
          ["a", 2],
          ["b", 1]
        ]
      )
      assert.deepStrictEqual([joined, isComplete], [3, true])
      record(...Array.from({ length: 3 * pageSize }, () => acquire("c")))
      slow("1500 millis")
      const timesOf = (read: OtherExposures) =>
        read.machines
          .get("m2")
          ?.valuesOf("db")[0]
          ?.handouts.find(({ client }) => client === "c")?.times
      const reading = yield* Effect.forkChild(logs.exposures)
      yield* TestClock.adjust("3 seconds")
      const some = yield* Fiber.join(reading)
      assert.deepStrictEqual([some.isComplete, timesOf(some)], [false, 2 * pageSize])
      slow("0 millis")
      const all = yield* logs.exposures
      assert.deepStrictEqual([all.isComplete, timesOf(all)], [true, 3 * pageSize])
    })
  )
})
