/** What other machines recorded, as this one reads it from the database, page by page. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { makeOtherLogs, newsLimit } from "../../../src/daemon/team/otherLogs.ts"
import { chainFacts, genesis } from "../../../src/domain/AuditChain.ts"
import type { AuditFact } from "../../../src/domain/AuditEntry.ts"
import { expireFact, revokeFact } from "../../../src/domain/leaseFacts.ts"
import { addFact, changeFailedFact, deleteFact, updateFact } from "../../../src/domain/storeFacts.ts"
import { fromMillis } from "../../../src/domain/Timestamp.ts"

const lease = (clientId: string) => ({ id: `id-of-${clientId}`, clientId, secretName: "db" })

/** A database with the chain of m2, which answers as `read_1` does. */
const otherLogs = (since: () => number | undefined = () => 7) => {
  const lines: Array<string> = []
  const asked: Array<any> = []
  let head = genesis
  let isOld = false
  const record = (...facts: ReadonlyArray<AuditFact>) => {
    const chained = chainFacts(facts, fromMillis(1_800_000_000_000), head)
    head = chained.head
    lines.push(...chained.text.trimEnd().split("\n"))
  }
  const logs = makeOtherLogs({
    interval: Duration.seconds(5),
    since,
    read: (_, __, more: any) =>
      Effect.sync(() => {
        asked.push(more)
        const after = more.after["m2"] ?? 0
        return isOld ? null : [{ name: "m2", head: lines.length, lines: lines.slice(after, after + newsLimit) }]
      })
  })
  const next = Effect.map(logs.nextNotices, (notices) =>
    notices.map(({ clientId, isEarlier, kind, machine, secretName, seq }) =>
      [kind, secretName ?? clientId, `${machine} ${seq}`, ...(isEarlier ? ["earlier"] : [])].join(" ")
    )
  )
  return { record, next, asked, makeOld: () => void (isOld = true) }
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

  it.effect("are read to their end, however long they are", () =>
    Effect.gen(function* () {
      const { asked, next, record } = otherLogs()
      record(...Array.from({ length: 2 * newsLimit + 1 }, (_, at) => revokeFact(lease(`c${at}`))))
      assert.lengthOf(yield* next, 2 * newsLimit + 1)
      assert.lengthOf(asked, 3)
    })
  )

  it.effect("are none in a database whose functions are older", () =>
    Effect.gen(function* () {
      const { makeOld, next, record } = otherLogs()
      record(revokeFact(lease("a")))
      makeOld()
      assert.deepStrictEqual(yield* next, [])
    })
  )
})
