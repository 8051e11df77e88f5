/**
 * What a query command loads.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { build } from "rolldown"
import { bundleOptions, daemonOptions } from "../../scripts/bundleOptions.ts"
import { matchesShape, optional, literal } from "../../src/domain/shape.ts"

/** The chunks of the program, which are built once. */
const chunks = build({ ...bundleOptions, write: false }).then(({ output }) =>
  output.filter((one) => one.type === "chunk")
)

describe("a query command", () => {
  it.effect("loads no library, nothing of the daemon and less than 38 KiB", () =>
    Effect.gen(function* () {
      const all = yield* Effect.promise(() => chunks)
      /** The chunk and all that it imports at once, such as Node does before it runs the first. */
      const withImports = (name: string): typeof all =>
        all
          .filter(({ fileName }) => fileName === name)
          .flatMap((chunk) => [chunk, ...chunk.imports.flatMap(withImports)])
      const loaded = withImports("main.cjs")
      const root = path.resolve(import.meta.dirname, "../..")
      const files = loaded
        .flatMap(({ moduleIds }) => moduleIds)
        .filter((id) => path.isAbsolute(id))
        .map((id) => path.relative(root, id))
      assert.include(files, "src/cli/commands/lease.ts")
      assert.deepStrictEqual(
        files.filter(
          (file) =>
            !/^src\/(bin|version|cli\/[\w/]+|rpc\/(client\/(after|roundTrip|sendRequests)|protocol\/(reply|errorTags|methods))|domain\/(shape|closestMatch|counted|escape|jsonFile|paths|exitStatus|goText|needsRestart|spelledDuration|systemError)|process\/(coreFiles|isOwnPath))\.ts$/.test(
              file
            )
        ),
        []
      )
      const bytes = loaded.reduce((sum, { code }) => sum + code.length, 0)
      assert.isBelow(bytes, 38_912)
    })
  )

  it.effect("has tree-shaken libraries: none is kept as a whole", () =>
    Effect.gen(function* () {
      const kept = (yield* Effect.promise(() => chunks))
        .flatMap(({ modules }) => Object.entries(modules))
        .flatMap(([id, { renderedLength }]) => (renderedLength > 0 ? [id] : []))
      assert.isTrue(kept.some((id) => id.endsWith("/effect/dist/Schema.js")))
      // Belongs to the schema library, and nothing of ours uses it.
      assert.deepStrictEqual(
        kept.filter((id) => id.endsWith("/effect/dist/SemVer.js")),
        []
      )
    })
  )
})

describe("the daemon", () => {
  it.effect("ignores signals before it loads one file with all that it always needs", () =>
    Effect.gen(function* () {
      const { output } = yield* Effect.promise(() => build({ ...daemonOptions, write: false }))
      const chunks = output.filter((one) => one.type === "chunk")
      const filesOf = (chunk: (typeof chunks)[number] | undefined) =>
        (chunk?.moduleIds ?? []).map((id) => id.replace(/^.*\/(src|node_modules)\//, "$1/"))
      const ownImports = (chunk: (typeof chunks)[number] | undefined) =>
        chunk?.imports.filter((name) => /^(?!serve-rolldown-runtime).*\.cjs$/.test(name))
      const serve = chunks.find(({ fileName }) => fileName === "serve.cjs")
      assert.includeMembers(filesOf(serve), ["src/serve.ts", "src/cli/commands/serve/protectStart.ts"])
      assert.deepStrictEqual(ownImports(serve), [])
      assert.isBelow(serve?.code.length ?? Infinity, 2048)

      const daemon = chunks.find((chunk) => filesOf(chunk).includes("src/daemon/Daemon.ts"))
      assert.deepStrictEqual(ownImports(daemon), ["serve.cjs"])
      const files = filesOf(daemon)
      assert.includeMembers(files, [
        "src/serveMain.ts",
        "src/daemon/operations/acquire.ts",
        "src/rpc/server/dispatch.ts",
        "node_modules/effect/dist/Effect.js"
      ])
      assert.notInclude(files, "src/daemon/team/Team.ts")
      assert.notInclude(files, "src/cli/commands.ts")
    })
  )
})

describe("matchesShape", () => {
  const example = { name: "", count: 0, more: optional({ on: true }), list: [{ id: "" }] }
  const row = { of: [0, ""], done: literal(true) } as const
  for (const [title, value, expected] of [
    ["accepts a response with all members", { name: "x", count: 1, list: [{ id: "a" }, { id: "b" }] }, true],
    ["accepts additional members", { name: "x", count: 1, list: [], more: { on: false, off: 1 }, else: 1 }, true],
    ["rejects a response without a member", { name: "x", list: [] }, false],
    ["rejects a member of another type", { name: 1, count: 1, list: [] }, false],
    ["rejects a list with one element of another shape", { name: "x", count: 1, list: [{ id: "a" }, {}] }, false],
    ["rejects an optional member of another shape", { name: "x", count: 1, list: [], more: {} }, false],
    ["rejects null", null, false],
    ["rejects an array", [], false]
  ] as const) {
    it(title, () => assert.strictEqual(matchesShape(value, example), expected))
  }
  for (const [title, value, expected] of [
    ["accepts a matching tuple", { of: [1, "a"], done: true }, true],
    ["rejects a longer tuple", { of: [1, "a", 1], done: true }, false],
    ["rejects a tuple in another order", { of: ["a", 1], done: true }, false],
    ["rejects another literal", { of: [1, "a"], done: false }, false]
  ] as const) {
    it(title, () => assert.strictEqual(matchesShape(value, row), expected))
  }
})
