/**
 * What `secrets show` gets: the leases, the last use, and a fingerprint that helps nobody who
 * guesses.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createHash } from "node:crypto"
import * as TestClock from "effect/testing/TestClock"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { describeSecret } from "../../../src/daemon/operations/describeSecret.ts"
import { findHandedOut } from "../../../src/daemon/operations/findHandedOut.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { acquireLease, addSecret, testLayerNoTelemetry } from "../../support/testLayer.ts"

const fingerprintOf = (name: string) => Effect.map(describeSecret(name), ({ measured }) => measured?.fingerprint ?? "")

describe("a described secret", () => {
  it.effect("has its active leases and the last one that the log knows, of any client", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      assert.deepInclude(yield* describeSecret("db"), { active: [], lastLease: undefined, complete: true })
      yield* acquireLease("db", "a", 60_000_000_000n)
      yield* TestClock.adjust("2 minutes")
      yield* acquireLease("db", "b")
      yield* TestClock.adjust("2 minutes")
      const { active, lastLease } = yield* describeSecret("db")
      assert.deepStrictEqual(
        active.map(({ clientId }) => clientId),
        ["b"]
      )
      assert.deepStrictEqual([lastLease?.clientId, lastLease?.at.millis], ["b", 120_000])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("has a fingerprint that follows the value, and that no hash of the value gives", () =>
    Effect.gen(function* () {
      yield* addSecret("one", "hunter2")
      yield* addSecret("same", "hunter2")
      yield* addSecret("other", "hunter3")
      const one = yield* fingerprintOf("one")
      assert.match(one, /^[0-9a-f]{12}$/)
      assert.strictEqual(yield* fingerprintOf("same"), one)
      assert.notStrictEqual(yield* fingerprintOf("other"), one)
      for (const algorithm of ["md5", "sha1", "sha256", "sha512"]) {
        assert.isFalse(createHash(algorithm).update("hunter2").digest("hex").startsWith(one), algorithm)
      }
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})

describe("a change without a value", () => {
  it.effect("keeps the value and its age, and the value counts as handed out still", () =>
    Effect.gen(function* () {
      const secrets = yield* SecretStore
      yield* addSecret("db", "hush")
      yield* acquireLease("db", "a")
      yield* TestClock.adjust("1 hour")
      yield* secrets.update("db", { rotateVia: "renew", description: "the staging database" })
      const { info } = yield* describeSecret("db")
      assert.deepStrictEqual(
        [info.rotateVia, info.description, info.updatedAt.millis],
        ["renew", "the staging database", 0]
      )
      const { value } = yield* Effect.fromResult(secrets.get("db"))
      assert.strictEqual(Redacted.value(value), "hush")
      const entry = (yield* AuditLog.use((audit) => audit.tail(1))).at(-1)
      assert.deepStrictEqual([entry?.action, entry?.secret_name, entry?.details], ["secret_edit", "db", undefined])
      const { secrets: outside } = yield* findHandedOut({ count: 10, length: 1000 })
      assert.deepStrictEqual(
        outside.map(({ secretName }) => secretName),
        ["db"]
      )
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})
