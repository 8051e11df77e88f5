/**
 * The leases of a client or a secret are listed, counted and revoked together.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { everything } from "../../../src/daemon/leases/LeaseScope.ts"
import { listLeases } from "../../../src/daemon/operations/listLeases.ts"
import { revokeMatchingLeases } from "../../../src/daemon/operations/revoke.ts"
import { second } from "../../../src/domain/GoDuration.ts"
import { makeLease } from "../../../src/domain/Lease.ts"
import type { OtelEvent } from "../../../src/otel/OtelEvent.ts"
import {
  activeCount,
  addSecret,
  leaseEntries,
  testLayerNoTelemetry,
  acquireLease,
  testLayer,
  testLayerWithAudit
} from "../../support/testLayer.ts"

const everybody = { clientId: undefined, secretName: undefined }
const usual = { filter: everybody, limit: 100, length: 1_000_000, top: 0 }

/** Two clients with two secrets each, one second apart. */
const someLeases = Effect.gen(function* () {
  for (const secret of ["db", "mail"]) yield* addSecret(secret)
  for (const client of ["a", "b"]) {
    for (const secret of ["db", "mail"]) {
      yield* TestClock.adjust("1 second")
      yield* acquireLease(secret, client)
    }
  }
})

/** Adds many leases at once. */
const manyLeases = (count: number, clientId: string) =>
  LeaseRepo.use((leases) =>
    leases.transaction(everything, (tx) => {
      for (let n = 0; n < count; n += 1) {
        tx.issue(makeLease({ id: `${clientId}-${n}`, secretName: "db", clientId, now: tx.now, ttl: 60n * second }))
      }
      return Result.void
    })
  )

const pairs = (leases: ReadonlyArray<{ readonly clientId: string; readonly secretName: string }>) =>
  leases.map(({ clientId, secretName }) => `${clientId} ${secretName}`)

describe("listLeases", () => {
  it.effect("returns the matching leases, newest first, and their number", () =>
    Effect.gen(function* () {
      yield* someLeases
      const all = yield* listLeases(usual)
      assert.deepStrictEqual(pairs(all.leases), ["b mail", "b db", "a mail", "a db"])
      const some = yield* listLeases({ ...usual, filter: { clientId: "a", secretName: undefined }, limit: 1 })
      assert.deepStrictEqual([pairs(some.leases), some.total], [["a mail"], 2])
      const both = yield* listLeases({ ...usual, filter: { clientId: "a", secretName: "db" } })
      assert.deepStrictEqual(pairs(both.leases), ["a db"])
      yield* acquireLease("db", "a/npm[4711]")
      yield* acquireLease("db", "ab")
      const runs = yield* listLeases({ ...usual, filter: { clientId: "a", secretName: "db", below: true } })
      assert.deepStrictEqual(pairs(runs.leases).toSorted(), ["a db", "a/npm[4711] db"])
      assert.deepStrictEqual(all.byClient, [])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("sorts the leases in any order of the table, up to the limit", () =>
    Effect.gen(function* () {
      yield* LeaseRepo.use((leases) =>
        leases.transaction(everything, (tx) => {
          for (const n of [3, 1, 5, 2, 4, 2]) {
            const now = tx.now + n
            tx.issue(makeLease({ id: `${Math.random()}`, secretName: "db", clientId: `c${n}`, now, ttl: 60n * second }))
          }
          return Result.void
        })
      )
      const listed = (limit: number) => Effect.map(listLeases({ ...usual, limit }), ({ leases }) => pairs(leases))
      assert.deepStrictEqual(yield* listed(3), ["c5 db", "c4 db", "c3 db"])
      assert.deepStrictEqual(yield* listed(4), ["c5 db", "c4 db", "c3 db", "c2 db"])
      assert.deepStrictEqual(yield* listed(100), ["c5 db", "c4 db", "c3 db", "c2 db", "c2 db", "c1 db"])
      assert.deepStrictEqual(yield* listed(0), [])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("omits leases beyond the length limit, and expired leases", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      for (const client of ["x".repeat(5000), "y".repeat(5000), "z"]) yield* acquireLease("db", client)
      yield* acquireLease("db", "short", second)
      yield* TestClock.adjust("2 seconds")
      const found = yield* listLeases({ ...usual, length: 5000 })
      assert.deepStrictEqual([found.leases.length, found.total], [2, 3])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("counts the clients and secrets with the most leases", () =>
    Effect.gen(function* () {
      yield* someLeases
      yield* manyLeases(3, "c")
      const { byClient, bySecret } = yield* listLeases({ ...usual, limit: 1, top: 2 })
      assert.deepStrictEqual(
        [byClient, bySecret],
        [
          [
            ["c", 3],
            ["a", 2]
          ],
          [
            ["db", 5],
            ["mail", 2]
          ]
        ]
      )
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})

describe("revokeMatching", () => {
  const events: Array<OtelEvent> = []

  it.effect("revokes the leases of a client, with one entry each and one event for all", () =>
    Effect.gen(function* () {
      yield* someLeases
      events.length = 0
      const { revoked } = yield* revokeMatchingLeases({ clientId: "a", secretName: undefined })
      assert.deepStrictEqual(pairs(revoked), ["a db", "a mail"])
      assert.deepStrictEqual(pairs((yield* listLeases(usual)).leases), ["b mail", "b db"])
      const entries = (yield* leaseEntries).filter(({ action }) => action === "lease_revoke")
      assert.deepStrictEqual(
        entries.map(({ lease_id }) => lease_id),
        revoked.map(({ id }) => id)
      )
      assert.deepStrictEqual(
        events.map(({ action, metadata }) => [action, metadata["count"], metadata["secretName"]]),
        [["lease.revoked", 2, undefined]]
      )
    }).pipe(Effect.provide(testLayer(events)))
  )

  it.effect("revokes the leases of a secret or of a pair", () =>
    Effect.gen(function* () {
      yield* someLeases
      assert.deepStrictEqual(pairs((yield* revokeMatchingLeases({ clientId: "b", secretName: "db" })).revoked), [
        "b db"
      ])
      assert.deepStrictEqual(
        pairs((yield* revokeMatchingLeases({ clientId: undefined, secretName: "mail" })).revoked),
        ["a mail", "b mail"]
      )
      assert.deepStrictEqual(pairs((yield* listLeases(usual)).leases), ["a db"])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("records and emits nothing if no lease matches", () =>
    Effect.gen(function* () {
      yield* someLeases
      events.length = 0
      const before = (yield* leaseEntries).length
      assert.lengthOf((yield* revokeMatchingLeases({ clientId: "nobody", secretName: undefined })).revoked, 0)
      assert.deepStrictEqual([(yield* leaseEntries).length, events.length], [before, 0])
    }).pipe(Effect.provide(testLayer(events)))
  )

  it.effect("revokes more leases than one transaction takes, and no others", () =>
    Effect.gen(function* () {
      yield* manyLeases(2500, "many")
      yield* manyLeases(10, "few")
      assert.lengthOf((yield* revokeMatchingLeases({ clientId: "many", secretName: undefined })).revoked, 2500)
      assert.strictEqual(yield* activeCount, 10)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  const broken = { now: false }

  it.effect("changes nothing while the audit log cannot be written", () =>
    Effect.gen(function* () {
      yield* manyLeases(3, "a")
      broken.now = true
      const failure = yield* Effect.flip(revokeMatchingLeases({ clientId: "a", secretName: undefined }))
      assert.strictEqual(failure._tag, "AuditLogError")
      assert.strictEqual(yield* activeCount, 3)
    }).pipe(Effect.ensuring(Effect.sync(() => (broken.now = false))), Effect.provide(testLayerWithAudit(broken)))
  )

  it.effect("reports how many are revoked if the log fails half-way, and continues when repeated", () =>
    Effect.gen(function* () {
      yield* manyLeases(2500, "a")
      const audit = yield* AuditLog
      const leases = yield* LeaseRepo
      let steps = 0
      const breaking = LeaseRepo.of({
        ...leases,
        transaction: (scope, program) =>
          Effect.suspend(() => {
            steps += 1
            broken.now = steps > 1
            return leases.transaction(scope, program)
          })
      })
      const filter = { clientId: "a", secretName: undefined }
      const failure = yield* Effect.flip(Effect.provideService(revokeMatchingLeases(filter), LeaseRepo, breaking))
      assert.match(
        failure.message,
        /^500 leases are revoked and 2000 are not \(.*no space left.*\); repeat the request to revoke them/
      )
      broken.now = false
      assert.strictEqual(yield* activeCount, 2000)
      assert.lengthOf((yield* revokeMatchingLeases(filter)).revoked, 2000)
      assert.lengthOf(
        (yield* audit.tail(10_000)).filter(({ action }) => action === "lease_revoke"),
        2500
      )
    }).pipe(Effect.ensuring(Effect.sync(() => (broken.now = false))), Effect.provide(testLayerWithAudit(broken)))
  )
})
