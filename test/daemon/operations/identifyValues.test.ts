/**
 * The daemon identifies the store's values by name, returns no value, and records the
 * client.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { listFingerprints, identifyValues } from "../../../src/daemon/operations/identifyValues.ts"
import { matcherOf } from "../../../src/domain/fingerprints.ts"
import { addSecret, testLayerNoTelemetry, testLayerWithAudit } from "../../support/testLayer.ts"

const entries = Effect.map(
  AuditLog.use((audit) => audit.tail(100)),
  (all) => all.filter(({ action }) => action.startsWith("scan_"))
)

describe("a scan", () => {
  it.effect("gets fingerprints that find the values, and their names", () =>
    Effect.gen(function* () {
      yield* addSecret("db", "value-of-the-database")
      yield* addSecret("twin", "value-of-the-database")
      yield* addSecret("pin", "1234")
      const given = yield* listFingerprints("scanner")
      assert.deepStrictEqual([given.values, given.tooShort, given.omitted], [2, ["pin"], 0])

      const text = Buffer.from("DB=value-of-the-database\n")
      const [place] = matcherOf(given.fingerprints, given.multiplier)(text)
      const texts = [Buffer.from("something-else"), text.subarray(place?.start, place?.end), Buffer.from("1234")]
      assert.deepStrictEqual(yield* identifyValues("scanner", texts), [[], ["db", "twin"], []])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("is audited with the identified names and no value", () =>
    Effect.gen(function* () {
      yield* addSecret("db", "value-of-the-database")
      yield* listFingerprints("scanner")
      yield* identifyValues("guesser", [Buffer.from("wrong-guess"), Buffer.from("value-of-the-database")])
      yield* identifyValues("guesser", [Buffer.from("wrong-guess")])
      const recorded = yield* entries
      assert.deepStrictEqual(
        recorded.map(({ action, client_id, secret_name }) => [action, client_id, secret_name]),
        [
          ["scan_begin", "scanner", undefined],
          ["scan_match", "guesser", "db"]
        ]
      )
      assert.notInclude(JSON.stringify(recorded), "value-of")
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect(
    "gets the same fingerprints as all of a day, so that many reveal no more than one, and others the next",
    () =>
      Effect.gen(function* () {
        yield* addSecret("db", "value-of-the-database")
        yield* TestClock.setTime(Date.UTC(2026, 1, 3))
        const first = yield* listFingerprints("scanner")
        yield* TestClock.adjust(Duration.millis(24 * 3_600_000 - 1))
        assert.deepStrictEqual(yield* listFingerprints("another"), first)
        yield* TestClock.adjust("1 millis")
        const next = yield* listFingerprints("scanner")
        assert.notStrictEqual(next.multiplier, first.multiplier)
        assert.notDeepEqual(next.fingerprints, first.fingerprints)
      }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("is refused and audited after a thousand of a day, and so is a guess", () =>
    Effect.gen(function* () {
      yield* addSecret("db", "value-of-the-database")
      const value = Buffer.from("value-of-the-database")
      const guesses = (count: number) => Array.from({ length: count }, (_, n) => Buffer.from(`guess ${n}`))
      for (let n = 0; n < 1000; n += 1) yield* listFingerprints("scanner")
      const refused = yield* Effect.flip(listFingerprints("scanner"))
      assert.strictEqual(refused.message, "too many scans today: at most 1000 are answered in a day (UTC)")
      // The same text twice is one guess, and a value is none.
      for (let n = 0; n < 499; n += 1) yield* identifyValues("guesser", [...guesses(2), ...guesses(2), value])
      yield* identifyValues("guesser", guesses(2))
      assert.deepStrictEqual(yield* identifyValues("guesser", [value]), [["db"]])
      const guess = yield* Effect.flip(identifyValues("guesser", [value, ...guesses(1)]))
      assert.strictEqual(guess._tag, "ScanLimit")
      const recorded = AuditLog.use((audit) => audit.tail(1))
      assert.deepInclude((yield* recorded)[0], { action: "scan_match", success: false, client_id: "guesser" })
      yield* TestClock.adjust("1 day")
      yield* listFingerprints("scanner")
      assert.strictEqual((yield* Effect.flip(identifyValues("guesser", guesses(1001))))._tag, "ScanLimit")
      assert.strictEqual((yield* Effect.flip(identifyValues("guesser", guesses(1))))._tag, "ScanLimit")
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("gets nothing while it cannot be audited", () => {
    const broken = { now: false }
    return Effect.gen(function* () {
      yield* addSecret("db", "value-of-the-database")
      broken.now = true
      assert.strictEqual((yield* Effect.flip(listFingerprints("scanner")))._tag, "AuditLogError")
      const guess = identifyValues("scanner", [Buffer.from("value-of-the-database")])
      assert.strictEqual((yield* Effect.flip(guess))._tag, "AuditLogError")
    }).pipe(Effect.provide(testLayerWithAudit(broken)))
  })
})
