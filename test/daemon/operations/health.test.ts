/**
 * What health reads from the audit log: the last access of each secret.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { checkHealth } from "../../../src/daemon/operations/health.ts"
import { lockedReason } from "../../../src/daemon/secrets/lockableStore.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import type { AuditFact } from "../../../src/domain/AuditEntry.ts"
import { changeRefusedFact, rotateFact, rotateRefusedFact, updateFact } from "../../../src/domain/storeFacts.ts"
import { hour } from "../../../src/domain/GoDuration.ts"
import { addSecret, testLayerNoTelemetry, acquireLease } from "../../support/testLayer.ts"

const warnings = Effect.map(checkHealth(hour), (report) =>
  report.warnings
    .filter(({ type }) => type === "stale_secret" || type === "never_accessed")
    .map(({ message, secret_name: name }) => `${name}: ${message}`)
)

const revokes = (count: number) =>
  AuditLog.use((audit) =>
    audit.append(Array.from({ length: count }, () => ({ action: "lease_revoke", secret_name: "db", success: true })))
  )

describe("health", () => {
  it.effect("finds the last access of each secret, and no rejected one", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* addSecret("idle")
      yield* acquireLease("db", "c")
      yield* acquireLease("idle", "c")
      yield* TestClock.adjust("20 days")
      yield* acquireLease("db", "c")
      yield* TestClock.adjust("20 days")
      yield* Effect.exit(acquireLease("idle", "c", 100n * hour))
      assert.deepStrictEqual(yield* warnings, ["idle: Not accessed in 40 days"])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("searches a thousand entries and no more", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* acquireLease("db", "c")
      yield* TestClock.adjust("40 days")
      yield* revokes(999)
      assert.deepStrictEqual(yield* warnings, ["db: Not accessed in 40 days"])
      yield* revokes(1)
      assert.deepStrictEqual(yield* warnings, ["db: Never accessed (created 40 days ago)"])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("reports a rotation that failed until one succeeds, or a new value is entered", () =>
    Effect.gen(function* () {
      yield* SecretStore.use((secrets) =>
        secrets.add({ name: "db", value: Redacted.make("old"), rotateVia: "renew", rotateStdout: false })
      )
      const failures = Effect.map(checkHealth(hour), (report) =>
        report.warnings.filter(({ type }) => type === "rotation_failed").map(({ message }) => message)
      )
      const record = (...facts: ReadonlyArray<AuditFact>) => AuditLog.use((audit) => audit.append(facts))
      assert.deepStrictEqual(yield* failures, [])
      yield* record(rotateRefusedFact("db", "exit status 3, 12 bytes of output"))
      // Neither runs its command.
      yield* record(rotateRefusedFact("db", lockedReason), updateFact("db", true), changeRefusedFact(updateFact("db")))
      assert.deepStrictEqual(yield* failures, ['The last rotation of "db" failed: exit status 3, 12 bytes of output'])
      yield* record(rotateFact("db", "exit status 0, 12 bytes of output"))
      assert.deepStrictEqual(yield* failures, [])
      yield* record(rotateRefusedFact("db", "timed out after 30s, 0 bytes of output"))
      assert.lengthOf(yield* failures, 1)
      yield* record(updateFact("db"))
      assert.deepStrictEqual(yield* failures, [])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})
