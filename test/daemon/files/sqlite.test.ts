/**
 * node:sqlite is loaded without its warning, and no other warning is lost.
 */
import { assert, describe, it } from "@effect/vitest"
import { loadSqlite, withoutWarning } from "../../../src/daemon/files/sqlite.ts"

const sqlite = "SQLite is an experimental feature and might change at any time"

describe("loading node:sqlite", () => {
  it("drops the warning about it, and passes on all others", () => {
    const seen: Array<ReadonlyArray<unknown>> = []
    const before = process.emitWarning
    const record = (...given: ReadonlyArray<unknown>) => void seen.push(given)
    const others = [
      [sqlite, "Warning"],
      ["Another is an experimental feature", "ExperimentalWarning"],
      ["old", { type: "DeprecationWarning", code: "OLD1" }],
      ["older", "DeprecationWarning", "OLD2"],
      [new Error(sqlite)]
    ]
    process.emitWarning = record
    try {
      const result = withoutWarning(/^SQLite is an experimental feature\b/, () => {
        process.emitWarning(sqlite, "ExperimentalWarning")
        for (const given of others) Reflect.apply(process.emitWarning, process, given)
        return 7
      })
      assert.strictEqual(result, 7)
      assert.strictEqual(process.emitWarning, record)
    } finally {
      process.emitWarning = before
    }
    assert.deepStrictEqual(seen, others)
  })

  it("leaves emitWarning as it was if it fails", () => {
    const before = process.emitWarning
    assert.throws(() => {
      withoutWarning(/x/, () => {
        throw new Error("made up")
      })
    }, "made up")
    assert.strictEqual(process.emitWarning, before)
    assert.isFunction(loadSqlite().DatabaseSync)
  })
})
