/**
 * What is loaded for a command that only asks.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { build } from "esbuild"
import { isLike, maybe } from "../../src/cli/likeness.ts"

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
      assert.include(loaded, "src/cli/lease.ts")
      assert.deepStrictEqual(
        loaded.filter(
          (file) => !/^src\/(bin\.ts|cli\/|rpc\/exchange\.ts|domain\/(paths|exitStatus|goText)\.ts)/.test(file)
        ),
        []
      )
    })
  )
})

describe("an answer is like its example", () => {
  const example = { name: "", count: 0, more: maybe({ on: true }), list: [{ id: "" }] }
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
    it(title, () => assert.strictEqual(isLike(value, example), expected))
  }
})
