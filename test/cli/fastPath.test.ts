/**
 * What is loaded for a command that only asks.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { build } from "esbuild"
import { matchesShape, optional, literal } from "../../src/rpc/protocol/shape.ts"

describe("a command that only asks", () => {
  it.effect("loads no library and nothing of the daemon", () =>
    Effect.gen(function* () {
      const { metafile } = yield* Effect.promise(() =>
        build({
          entryPoints: ["src/bin.ts"],
          bundle: true,
          platform: "node",
          format: "esm",
          external: ["*/whole.ts"],
          metafile: true,
          write: false
        })
      )
      const loaded = Object.keys(metafile.inputs)
      assert.include(loaded, "src/cli/commands/lease.ts")
      assert.deepStrictEqual(
        loaded.filter(
          (file) =>
            !/^(package\.json|src\/(bin|version|cli\/[\w/]+|rpc\/(client\/roundTrip|protocol\/(shape|reply))|domain\/(paths|exitStatus|goText))\.ts)$/.test(
              file
            )
        ),
        []
      )
    })
  )
})

describe("an answer is like its example", () => {
  const example = { name: "", count: 0, more: optional({ on: true }), list: [{ id: "" }] }
  const row = { of: [0, ""], done: literal(true) } as const
  for (const [title, value, expected] of [
    ["when it has all members", { name: "x", count: 1, list: [{ id: "a" }, { id: "b" }] }, true],
    ["when it has more members", { name: "x", count: 1, list: [], more: { on: false, off: 1 }, else: 1 }, true],
    ["but not when one is missing", { name: "x", list: [] }, false],
    ["but not when one is of another type", { name: 1, count: 1, list: [] }, false],
    ["but not when one of the list is not", { name: "x", count: 1, list: [{ id: "a" }, {}] }, false],
    ["but not when what may be missing is there and wrong", { name: "x", count: 1, list: [], more: {} }, false],
    ["but not when it is null", null, false],
    ["but not when it is a list", [], false]
  ] as const) {
    it(title, () => assert.strictEqual(matchesShape(value, example), expected))
  }
  for (const [title, value, expected] of [
    ["when a row has what its examples are", { of: [1, "a"], done: true }, true],
    ["but not when a row is longer", { of: [1, "a", 1], done: true }, false],
    ["but not when a row is in another order", { of: ["a", 1], done: true }, false],
    ["but not when it is not the only value there is", { of: [1, "a"], done: false }, false]
  ] as const) {
    it(title, () => assert.strictEqual(matchesShape(value, row), expected))
  }
})
