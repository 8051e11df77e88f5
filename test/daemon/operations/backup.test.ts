/**
 * Backup and restore of a store: nothing that is newer is lost, nothing is deleted, and each change
 * is in the audit log.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { backupStore, restoreStore } from "../../../src/daemon/operations/backup.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { addSecret, testLayerNoTelemetry } from "../../support/testLayer.ts"
import { storedValues } from "../../support/storeSetup.ts"

const plain = { overwrite: false, keepNewer: false, dryRun: false }
const update = (name: string, value: string) =>
  SecretStore.use((secrets) => secrets.update(name, { value: Redacted.make(value) }))
const actions = Effect.map(
  AuditLog.use((audit) => audit.tail(100)),
  (all) => all.map(({ action, details, secret_name: name, success }) => [action, name, success, details])
)
/** Runs the rest with another, empty store. */
const elsewhere = <A, E>(program: Effect.Effect<A, E, SecretStore | AuditLog>) =>
  Effect.provide(program, Layer.fresh(testLayerNoTelemetry))

/** A store with three secrets, and its backup of an hour ago. */
const backedUp = Effect.gen(function* () {
  for (const name of ["a", "b", "c"]) yield* addSecret(name, `old ${name}`, name === "a" ? "renew" : "")
  yield* SecretStore.use((secrets) => secrets.update("b", { description: "the second" }))
  const { count, text } = yield* backupStore
  assert.strictEqual(count, 3)
  yield* TestClock.adjust("1 hour")
  return text
})

describe("a backup", () => {
  it.effect("is recorded, and brings everything back into an empty store, with its times", () =>
    Effect.gen(function* () {
      const text = yield* backedUp
      assert.deepStrictEqual((yield* actions).at(-1), ["store_backup", undefined, true, "3 secrets"])
      yield* elsewhere(
        Effect.gen(function* () {
          const report = yield* restoreStore(text, plain)
          assert.deepStrictEqual(report, {
            added: ["a", "b", "c"],
            updated: [],
            newer: [],
            unchanged: 0,
            restored: true
          })
          assert.deepStrictEqual(yield* storedValues, ["a=old a", "b=old b", "c=old c"])
          const [a, b] = yield* SecretStore.use(({ list }) => list)
          assert.deepStrictEqual([a?.rotateVia, a?.updatedAt.millis, b?.description], ["renew", 0, "the second"])
          assert.deepStrictEqual((yield* actions).slice(-4), [
            ["secret_add", "a", true, undefined],
            ["secret_add", "b", true, undefined],
            ["secret_add", "c", true, undefined],
            ["store_restore", undefined, true, "added: 3, updated: 0, newer: 0"]
          ])
        })
      )
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("changes nothing if a secret was changed after it, unless that is asked for", () =>
    Effect.gen(function* () {
      const text = yield* backedUp
      yield* update("a", "new a")
      yield* SecretStore.use((secrets) => secrets.remove("c"))
      yield* addSecret("d", "new d")
      const changed = ["a=new a", "b=old b", "d=new d"]
      const report = { added: ["c"], updated: [], newer: ["a"], unchanged: 1 }
      assert.deepStrictEqual(yield* restoreStore(text, plain), { ...report, restored: false })
      assert.deepStrictEqual((yield* actions).at(-1)?.slice(0, 3), ["store_restore", undefined, false])
      assert.deepStrictEqual(yield* storedValues, changed)
      const entries = (yield* actions).length
      yield* restoreStore(text, { ...plain, overwrite: true, dryRun: true })
      assert.deepStrictEqual(yield* storedValues, changed)
      // It tells whether a value is right, so it is recorded.
      const planned = "dry run, added: 1, updated: 1, newer: 0"
      assert.deepStrictEqual((yield* actions).slice(entries), [["store_restore", undefined, true, planned]])
      assert.deepStrictEqual(yield* restoreStore(text, { ...plain, keepNewer: true }), { ...report, restored: true })
      assert.deepStrictEqual(yield* storedValues, ["a=new a", "b=old b", "c=old c", "d=new d"])
      const { updated } = yield* restoreStore(text, { ...plain, overwrite: true })
      assert.deepStrictEqual(updated, ["a"])
      assert.deepStrictEqual(yield* storedValues, ["a=old a", "b=old b", "c=old c", "d=new d"])
      const before = (yield* actions).length
      const again = yield* restoreStore(text, plain)
      assert.deepStrictEqual([again.unchanged, again.restored], [3, true])
      const nothing = "added: 0, updated: 0, newer: 0"
      assert.deepStrictEqual((yield* actions).slice(before), [["store_restore", undefined, true, nothing]])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("protects a description or a rotation command that was changed after it", () =>
    Effect.gen(function* () {
      const text = yield* backedUp
      yield* SecretStore.use((secrets) => secrets.update("b", { description: "another" }))
      assert.deepStrictEqual((yield* restoreStore(text, plain)).newer, ["b"])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("replaces what is older than it", () =>
    Effect.gen(function* () {
      yield* addSecret("a", "older")
      const { text } = yield* backupStore
      yield* TestClock.adjust("1 hour")
      const newer = text.replaceAll("1970-01-01T00:00:00Z", "1970-01-01T00:30:00Z").replace("older", "newer")
      assert.notStrictEqual(newer, text)
      assert.deepStrictEqual((yield* restoreStore(newer, plain)).updated, ["a"])
      assert.deepStrictEqual(yield* storedValues, ["a=newer"])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("is rejected as a whole if it is no store, or too large", () =>
    Effect.gen(function* () {
      yield* addSecret("a", "kept")
      for (const text of ["", "{", '{"secrets": {"x": {}}}', '{"version": 2, "secrets": {}}']) {
        const { _tag } = yield* Effect.flip(restoreStore(text, plain))
        assert.strictEqual(_tag, "NoStore")
      }
      for (const [name, entry, reason] of [
        ["", { value: "x" }, "one of its secrets has no name"],
        ["n".repeat(20_000), { value: "x" }, "the name of one of its secrets is longer than 16384 bytes"],
        ["b", { value: "" }, 'the value of the secret "b" is empty'],
        ["b", { value: "x".repeat(2 ** 21) }, 'the value of the secret "b" is longer than 1048576 bytes'],
        [
          "b",
          { value: "x", rotate_via: "x".repeat(20_000) },
          'the rotate_via of the secret "b" is longer than 16384 bytes'
        ],
        [
          "b",
          { value: "x", description: "x".repeat(1025) },
          'the description of the secret "b" is longer than 1024 bytes'
        ]
      ] as const) {
        const text = JSON.stringify({ secrets: { good: { value: "x" }, [name]: entry } })
        const { message } = yield* Effect.flip(restoreStore(text, plain))
        assert.strictEqual(message, `this is no backup of a store: ${reason}`)
      }
      const secrets = Object.fromEntries([...Array(9).keys()].map((n) => [n, { value: "x".repeat(1024 * 1024) }]))
      const { _tag } = yield* Effect.flip(restoreStore(JSON.stringify({ secrets }), plain))
      assert.strictEqual(_tag, "StoreFull")
      assert.deepStrictEqual(yield* storedValues, ["a=kept"])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})
