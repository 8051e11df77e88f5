/**
 * How a lease ends: by revoke, by killswitch, with its secret, or by expiry.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import { deleteSecret } from "../../../src/daemon/operations/deleteSecret.ts"
import { revokeAllLeases, revokeLease } from "../../../src/daemon/operations/revoke.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { everything } from "../../../src/daemon/leases/LeaseScope.ts"
import { sweepExpired, sweepForever } from "../../../src/daemon/operations/sweep.ts"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { minute, second } from "../../../src/domain/GoDuration.ts"
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

const lastEntries = (count: number) =>
  Effect.map(
    AuditLog.use((audit) => audit.tail(count)),
    (entries) => entries.map(({ action, details, success }) => [action, details, success])
  )

describe("revoke", () => {
  it.effect("ends a lease, and succeeds again when repeated", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const { lease } = yield* acquireLease("db", "worker")
      yield* revokeLease(lease.id)
      assert.strictEqual(yield* activeCount, 0)
      yield* revokeLease(lease.id)
      const ends = (yield* leaseEntries).filter(({ action }) => action === "lease_revoke")
      assert.deepStrictEqual(
        ends.map(({ lease_id, success }) => [lease_id, success]),
        [
          [lease.id, true],
          [lease.id, true]
        ]
      )
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("takes the beginning of the id of one active lease if that is asked for, and names several", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const { lease } = yield* acquireLease("db", "worker")
      const beginning = lease.id.slice(0, 8)
      for (const id of [beginning, lease.id.slice(0, 3), ""]) {
        yield* Effect.flip(revokeLease(id, id !== beginning))
      }
      const twin = { ...lease, id: `${beginning}-another`, clientId: "other" }
      yield* LeaseRepo.use((leases) =>
        leases.transaction(everything, (tx) => {
          tx.issue(twin)
          return Result.succeed(undefined)
        })
      )
      const several = yield* Effect.flip(revokeLease(beginning, true))
      assert.strictEqual(several._tag, "AmbiguousLease")
      assert.include(several.message, twin.id)
      assert.include(several.message, lease.id)
      assert.deepStrictEqual(yield* lastEntries(1), [["lease_revoke", "several leases begin with this id", false]])
      assert.strictEqual((yield* revokeLease(lease.id, true)).lease.id, lease.id)
      assert.strictEqual((yield* revokeLease(beginning, true)).lease.id, twin.id)
      assert.strictEqual(yield* activeCount, 0)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("fails for an unknown lease and for a replaced one", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const { lease } = yield* acquireLease("db", "worker")
      yield* acquireLease("db", "worker")
      for (const id of ["never", lease.id]) {
        assert.strictEqual((yield* Effect.flip(revokeLease(id))).message, "lease not found")
      }
      assert.deepStrictEqual(yield* lastEntries(1), [["lease_revoke", "lease not found", false]])
      assert.strictEqual(yield* activeCount, 1)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("ends nothing when the audit log cannot be written", () => {
    const broken = { now: false }
    return Effect.gen(function* () {
      yield* addSecret("db")
      const { lease } = yield* acquireLease("db", "worker")
      broken.now = true
      assert.strictEqual((yield* Effect.flip(revokeLease(lease.id)))._tag, "AuditLogError")
      assert.strictEqual((yield* Effect.flip(revokeAllLeases()))._tag, "AuditLogError")
      assert.strictEqual(yield* activeCount, 1)
    }).pipe(Effect.provide(testLayerWithAudit(broken)))
  })
})

describe("revokeAll", () => {
  it.effect("ends every active lease, counts them, and keeps the secrets", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* acquireLease("db", "one")
      yield* acquireLease("db", "two")
      yield* acquireLease("db", "over", second)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* revokeAllLeases(), 2)
      assert.strictEqual(yield* activeCount, 0)
      assert.deepStrictEqual(yield* lastEntries(2), [
        ["killswitch", "revoked 2 leases", true],
        ["killswitch", "all leases revoked", true]
      ])
      yield* acquireLease("db", "one")
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})

describe("deleteSecret", () => {
  it.effect("ends the leases of the secret and no others", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* addSecret("mail")
      yield* acquireLease("db", "one")
      yield* acquireLease("db", "two")
      yield* acquireLease("mail", "one")
      yield* deleteSecret("db")
      assert.strictEqual(yield* activeCount, 1)
      assert.deepStrictEqual(yield* lastEntries(1), [["lease_revoke", "revoked 2 leases", true]])
      assert.strictEqual((yield* Effect.flip(acquireLease("db", "one")))._tag, "SecretNotFound")
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("leaves no lease of the secret in any interleaving with acquire", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 20; round += 1) {
        yield* addSecret("db")
        const takers = Array.from({ length: 5 }, (_, client) => Effect.exit(acquireLease("db", `${client}`)))
        yield* Effect.all([...takers.slice(0, 3), deleteSecret("db"), ...takers.slice(3)], { concurrency: "unbounded" })
        assert.strictEqual(yield* activeCount, 0)
      }
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("ends remaining leases, and then fails because there is no such secret", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(deleteSecret("db")))._tag, "SecretNotFound")
      assert.deepStrictEqual(yield* lastEntries(1), [["lease_revoke", "revoked 0 leases", true]])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})

describe("sweep", () => {
  it.effect("records each expired lease once, and emits one event for all", () => {
    const events: Array<OtelEvent> = []
    return Effect.gen(function* () {
      yield* addSecret("db")
      for (let client = 0; client < 1200; client += 1) yield* acquireLease("db", `${client}`, second)
      yield* acquireLease("db", "stays", minute)
      yield* TestClock.adjust("1001 millis")
      events.length = 0
      assert.strictEqual((yield* sweepExpired()).length, 1200)
      assert.strictEqual((yield* sweepExpired()).length, 0)
      const ends = (yield* leaseEntries).filter(({ action }) => action === "lease_expire")
      assert.strictEqual(new Set(ends.map(({ lease_id }) => lease_id)).size, 1200)
      assert.strictEqual(ends.length, 1200)
      assert.deepStrictEqual(
        events.map(({ action, level, metadata }) => [action, level, metadata["count"]]),
        [["lease.expired", "debug", 1200]]
      )
      assert.lengthOf(Object(events[0]?.metadata["leaseIds"]), 20)
      assert.strictEqual(yield* activeCount, 1)
    }).pipe(Effect.provide(testLayer(events)))
  })

  it.effect("runs every fifteen seconds", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* acquireLease("db", "worker", second)
      const sweeping = yield* Effect.forkChild(sweepForever)
      yield* TestClock.adjust("14999 millis")
      assert.deepStrictEqual(
        (yield* leaseEntries).map(({ action }) => action),
        ["lease_acquire"]
      )
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        (yield* leaseEntries).map(({ action }) => action),
        ["lease_acquire", "lease_expire"]
      )
      yield* Fiber.interrupt(sweeping)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("deactivates an expired lease within five seconds, even without requests", () =>
    Effect.gen(function* () {
      const leases = yield* LeaseRepo
      yield* addSecret("db")
      const sweeping = yield* Effect.forkChild(sweepForever)
      yield* TestClock.adjust("1 millis")
      for (let client = 0; client < 1200; client += 1) yield* acquireLease("db", `${client}`, second)
      const isDeactivated = Effect.map(leases.deactivateExpired(0), (next) => next === undefined)
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* isDeactivated)
      yield* TestClock.adjust("4999 millis")
      assert.isTrue(yield* isDeactivated)
      assert.strictEqual(yield* leases.expiredCount, 1200)
      yield* Fiber.interrupt(sweeping)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("continues after a sweep that could not be recorded", () => {
    const broken = { now: false }
    return Effect.gen(function* () {
      yield* addSecret("db")
      yield* acquireLease("db", "worker", second)
      const sweeping = yield* Effect.forkChild(sweepForever)
      yield* TestClock.adjust("2 seconds")
      broken.now = true
      yield* TestClock.adjust("1 minute")
      broken.now = false
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(
        (yield* leaseEntries).map(({ action }) => action),
        ["lease_acquire", "lease_expire"]
      )
      yield* Fiber.interrupt(sweeping)
    }).pipe(Effect.provide(testLayerWithAudit(broken)))
  })
})
