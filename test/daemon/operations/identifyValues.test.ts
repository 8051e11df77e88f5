/**
 * The daemon identifies the store's values by name, returns no value, and records the
 * client.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
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

  it.effect("gets other fingerprints each time", () =>
    Effect.gen(function* () {
      yield* addSecret("db", "value-of-the-database")
      const [one, other] = [yield* listFingerprints("scanner"), yield* listFingerprints("scanner")]
      assert.notDeepEqual(one.fingerprints, other.fingerprints)
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
