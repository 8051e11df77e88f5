/**
 * The killswitch runs every step and reports the failed ones.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { killswitch } from "../../../src/daemon/operations/killswitch.ts"
import type { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { RotationHook } from "../../../src/daemon/secrets/RotationHook.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import type { OtelSink } from "../../../src/otel/OtelSink.ts"
import {
  activeCount,
  addSecret,
  testLayerNoTelemetry,
  acquireLease,
  testLayerWithAudit,
  rotationHook
} from "../../support/testLayer.ts"

/** Commands print the name of their secret; the one named "broken" fails. */
const hook = rotationHook((_, name) => ({
  stdout: Buffer.from(name),
  stderr: new Uint8Array(),
  status: name === "broken" ? "failed" : "done",
  outcome: "exit status ?"
}))

const everything = { revokeAll: true, rotateAll: true, wipeStore: true }

describe("killswitch", () => {
  it.effect("revokes, rotates and wipes", () =>
    Effect.gen(function* () {
      yield* addSecret("db", "x", "a command")
      yield* addSecret("plain")
      yield* acquireLease("db", "c")
      const report = yield* killswitch(everything)
      assert.deepStrictEqual(report, { leasesRevoked: 1, rotated: ["db"], secretsWiped: 2, failures: [], runIds: [] })
      assert.strictEqual(yield* activeCount, 0)
      assert.strictEqual(yield* SecretStore.use((secrets) => secrets.count), 0)
    }).pipe(Effect.provide(Layer.provideMerge(testLayerNoTelemetry, hook)))
  )

  it.effect("revokes leases that were acquired during a rotation", () =>
    Effect.gen(function* () {
      yield* addSecret("db", "x", "a command")
      yield* acquireLease("db", "early")
      const context = yield* Effect.context<LeaseRepo | SecretStore | OtelSink>()
      const report = yield* killswitch(everything).pipe(
        Effect.provideService(RotationHook, {
          run: (_, name) =>
            Effect.as(Effect.orDie(acquireLease(name, "late")), {
              stdout: new Uint8Array(),
              stderr: new Uint8Array(),
              status: "done" as const,
              outcome: ""
            }).pipe(Effect.provideContext(context))
        })
      )
      assert.deepStrictEqual(report, { leasesRevoked: 2, rotated: ["db"], secretsWiped: 1, failures: [], runIds: [] })
      assert.strictEqual(yield* activeCount, 0)
    }).pipe(Effect.provide(Layer.provideMerge(testLayerNoTelemetry, hook)))
  )

  it.effect("runs only the configured steps", () =>
    Effect.gen(function* () {
      yield* addSecret("db", "x", "a command")
      yield* acquireLease("db", "c")
      const report = yield* killswitch({ revokeAll: false, rotateAll: true, wipeStore: false })
      assert.deepStrictEqual(report, {
        leasesRevoked: undefined,
        rotated: ["db"],
        secretsWiped: undefined,
        failures: [],
        runIds: []
      })
      assert.strictEqual(yield* activeCount, 1)
    }).pipe(Effect.provide(Layer.provideMerge(testLayerNoTelemetry, hook)))
  )

  it.effect("revokes the leases of the secrets it wipes", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* acquireLease("db", "c")
      const report = yield* killswitch({ revokeAll: false, rotateAll: false, wipeStore: true })
      assert.deepStrictEqual([report.leasesRevoked, report.secretsWiped], [1, 1])
      assert.strictEqual(yield* activeCount, 0)
    }).pipe(Effect.provide(Layer.provideMerge(testLayerNoTelemetry, hook)))
  )

  it.effect("continues after a failed step, and reports it", () =>
    Effect.gen(function* () {
      yield* addSecret("a", "x", "a command")
      yield* addSecret("broken", "x", "a command")
      yield* addSecret("c", "x", "a command")
      const report = yield* killswitch({ ...everything, wipeStore: false })
      assert.deepStrictEqual(report.rotated, ["a", "c"])
      assert.deepStrictEqual(report.failures, [
        'rotating "broken": rotation of secret "broken" failed: rotation hook failed'
      ])
      const [last] = yield* AuditLog.use((audit) => audit.tail(1))
      assert.deepStrictEqual([last?.action, last?.success], ["killswitch", false])
    }).pipe(Effect.provide(Layer.provideMerge(testLayerNoTelemetry, hook)))
  )

  it.effect("reports failures if the audit log cannot be written", () => {
    const broken = { now: false }
    return Effect.gen(function* () {
      yield* addSecret("db")
      yield* acquireLease("db", "c")
      broken.now = true
      const report = yield* killswitch(everything)
      assert.deepStrictEqual([report.leasesRevoked, report.secretsWiped], [undefined, undefined])
      assert.strictEqual(report.failures.length, 2)
      broken.now = false
      assert.strictEqual(yield* activeCount, 1)
    }).pipe(Effect.provide(Layer.provideMerge(testLayerWithAudit(broken), hook)))
  })
})
