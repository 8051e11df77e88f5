/**
 * The killswitch runs every step and reports the failed ones. The heartbeat activates
 * it after the configured failures, and only then.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { TestClock } from "effect/testing"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { disabledHeartbeat, watchHeartbeat } from "../../../src/daemon/lifecycle/heartbeat.ts"
import { killswitch } from "../../../src/daemon/operations/killswitch.ts"
import type { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { RotationHook } from "../../../src/daemon/secrets/RotationHook.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { minute, second } from "../../../src/domain/GoDuration.ts"
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
      assert.deepStrictEqual(report, { leasesRevoked: 1, rotated: ["db"], secretsWiped: 2, failures: [] })
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
      assert.deepStrictEqual(report, { leasesRevoked: 2, rotated: ["db"], secretsWiped: 1, failures: [] })
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
        failures: []
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

describe("heartbeat", () => {
  const settings = {
    url: "http://127.0.0.1/",
    interval: minute,
    timeout: second,
    maxFailures: 1,
    failAction: { revokeAll: true, rotateAll: false, wipeStore: false }
  }
  const testLayer = Layer.provideMerge(testLayerNoTelemetry, hook)
  const endpoint = { well: true }
  const probe = Effect.suspend(() => (endpoint.well ? Effect.void : Effect.fail("HTTP 503")))
  const start = Effect.fnUntraced(function* (maxFailures = 1) {
    const state = yield* Ref.make(disabledHeartbeat)
    yield* addSecret("db")
    yield* acquireLease("db", "c")
    const watching = yield* Effect.forkChild(watchHeartbeat({ ...settings, maxFailures }, state, probe))
    return { state, stop: Fiber.interrupt(watching) }
  })
  const failuresTold = Effect.map(
    AuditLog.use((audit) => audit.tail(100)),
    (entries) => entries.filter(({ action }) => action === "heartbeat_fail").map(({ details }) => details)
  )

  it.effect("does nothing while the endpoint responds", () =>
    Effect.gen(function* () {
      endpoint.well = true
      const { stop } = yield* start()
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* activeCount, 1)
      yield* stop
    }).pipe(Effect.provide(testLayer))
  )

  it.effect("does not fire at the start, and fires at the first check", () =>
    Effect.gen(function* () {
      endpoint.well = false
      const { stop } = yield* start()
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual(yield* activeCount, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* activeCount, 0)
      assert.deepStrictEqual(yield* failuresTold, ["heartbeat failed: HTTP 503"])
      yield* stop
    }).pipe(Effect.provide(testLayer))
  )

  it.effect("fires after the configured consecutive failures, and not before", () =>
    Effect.gen(function* () {
      endpoint.well = false
      const { stop } = yield* start(3)
      yield* TestClock.adjust("2 minutes")
      endpoint.well = true
      yield* TestClock.adjust("1 minute")
      endpoint.well = false
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* activeCount, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* activeCount, 0)
      yield* stop
    }).pipe(Effect.provide(testLayer))
  )

  it.effect("fires once per outage, and again after a recovery", () =>
    Effect.gen(function* () {
      endpoint.well = false
      const { state, stop } = yield* start()
      yield* TestClock.adjust("1 minute")
      yield* acquireLease("db", "c")
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* activeCount, 1)
      assert.deepStrictEqual(yield* Ref.get(state), { consecutiveFailures: 6, fired: true })
      assert.strictEqual((yield* failuresTold).length, 1)
      endpoint.well = true
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Ref.get(state), disabledHeartbeat)
      endpoint.well = false
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* activeCount, 0)
      yield* stop
    }).pipe(Effect.provide(testLayer))
  )
})
