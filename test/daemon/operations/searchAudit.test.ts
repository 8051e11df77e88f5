/**
 * Entries are selected by secret, client, action, time and number, across archives. A
 * result reports whether it is complete.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { searchAudit } from "../../../src/daemon/operations/searchAudit.ts"
import type { AuditFact } from "../../../src/domain/AuditEntry.ts"
import { fromMillis } from "../../../src/domain/Timestamp.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { memoryAuditLog } from "../../support/memoryAuditLog.ts"

const anything = {
  secretName: undefined,
  clientId: undefined,
  action: undefined,
  since: undefined,
  after: 0,
  count: 1000,
  length: 1_000_000
}

const fact = (n: number): AuditFact => ({
  action: n % 2 === 0 ? "lease_acquire" : "lease_revoke",
  secret_name: `s${n % 3}`,
  client_id: n % 5 === 0 ? 'say "<hi>"' : "c",
  success: true
})

/** Entries 1 to 60, one second apart, in a log of many small files. */
const inLog = <A, E>(test: Effect.Effect<A, E, AuditLog>, maxFiles = 100) =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    yield* Effect.gen(function* () {
      const audit = yield* AuditLog
      yield* audit.release(60)
      for (let n = 1; n <= 60; n += 1) {
        yield* TestClock.adjust("1 second")
        yield* audit.append([fact(n)])
      }
      yield* test
    }).pipe(Effect.provide(AuditLog.layer(path.join(directory, "audit.log"), { maxSize: 2_000, maxFiles })))
  })

const numbers = (search: Partial<Parameters<typeof searchAudit>[0]>) =>
  Effect.map(searchAudit({ ...anything, ...search }), ({ complete, entries }) => ({
    seqs: entries.map(({ seq }) => seq ?? 0),
    complete
  }))

const those = (is: (n: number) => boolean) => [...Array(61).keys()].slice(1).filter(is)

describe("searchAudit", () => {
  it.effect("selects by secret, client and action", () =>
    inLog(
      Effect.gen(function* () {
        assert.deepStrictEqual(
          (yield* numbers({ secretName: "s1" })).seqs,
          those((n) => n % 3 === 1)
        )
        assert.deepStrictEqual(
          (yield* numbers({ clientId: 'say "<hi>"' })).seqs,
          those((n) => n % 5 === 0)
        )
        assert.deepStrictEqual(
          (yield* numbers({ action: "lease_revoke", clientId: 'say "<hi>"' })).seqs,
          those((n) => n % 10 === 5)
        )
        assert.deepStrictEqual(yield* numbers({ clientId: "s1" }), { seqs: [], complete: true })
      })
    )
  )

  it.effect("returns the last entries, and whether there are older ones", () =>
    inLog(
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* numbers({ count: 2 }), { seqs: [59, 60], complete: false })
        assert.deepStrictEqual(yield* numbers({ count: 60 }), { seqs: those(() => true), complete: true })
        const { complete, seqs } = yield* numbers({ length: 1000 })
        assert.deepStrictEqual([complete, seqs.at(-1)], [false, 60])
        assert.isTrue(seqs.length > 1 && seqs.length < 10)
      })
    )
  )

  it.effect("returns the entries after a number", () =>
    inLog(
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* numbers({ after: 40 }), { seqs: those((n) => n > 40), complete: true })
        assert.deepStrictEqual((yield* numbers({ after: 40, secretName: "s0" })).seqs, [42, 45, 48, 51, 54, 57, 60])
        assert.deepStrictEqual(yield* numbers({ after: 60 }), { seqs: [], complete: true })
      })
    )
  )

  it.effect("returns the entries since a time, to the millisecond", () =>
    inLog(
      Effect.gen(function* () {
        assert.deepStrictEqual(
          (yield* numbers({ since: fromMillis(41_000) })).seqs,
          those((n) => n > 40)
        )
        assert.deepStrictEqual(
          (yield* numbers({ since: fromMillis(41_001) })).seqs,
          those((n) => n > 41)
        )
      })
    )
  )

  it.effect("returns the first entry that is kept, if older ones were removed and all others were searched", () =>
    Effect.gen(function* () {
      const begin = (search: Partial<Parameters<typeof searchAudit>[0]>) =>
        Effect.map(searchAudit({ ...anything, ...search }), (found) => found.begin?.seq)
      yield* inLog(
        Effect.gen(function* () {
          assert.isUndefined(yield* begin({ secretName: "none" }))
        })
      )
      yield* inLog(
        Effect.gen(function* () {
          const first = (yield* numbers({})).seqs[0] ?? 0
          assert.isAbove(first, 1)
          assert.strictEqual(yield* begin({ secretName: "none" }), first)
          assert.isUndefined(yield* begin({ count: 2 }))
          assert.isUndefined(yield* begin({ after: 59 }))
          assert.isUndefined(yield* begin({ since: fromMillis(110_000) }))
        }),
        1
      )
    })
  )

  it.effect("finds the same in the log in memory", () =>
    Effect.gen(function* () {
      const audit = yield* AuditLog
      for (let n = 1; n <= 6; n += 1) yield* audit.append([fact(n)])
      const { entries } = yield* searchAudit({ ...anything, secretName: "s1" })
      assert.deepStrictEqual(
        entries.map(({ action }) => action),
        ["lease_revoke", "lease_acquire"]
      )
    }).pipe(Effect.provide(memoryAuditLog))
  )
})
