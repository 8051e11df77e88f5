/**
 * What an import selects, and that it reports every error at once, without a value.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { selectVariables, type Selection } from "../../../../src/cli/commands/add/selectVariables.ts"
import { prepareProject } from "../../../../src/cli/commands/add/writeProject.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

const all: Selection = { file: ".env", prefix: "", only: undefined, except: [], skipEmpty: false }
const text = "DB_HOST=h\nDB_PASS=p\nAPI_KEY='k'\nEMPTY=\n"

const select = (selection: Partial<Selection>, given = text) => selectVariables(given, { ...all, ...selection })
const names = (selection: Partial<Selection>, given = text) =>
  Effect.map(select(selection, given), ({ variables }) => variables.map(({ secret }) => secret))

describe("the variables of a dotenv file", () => {
  it.effect("are selected by names and globs, and named with the prefix", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* names({ only: ["DB_*", "API_KEY"] }), ["DB_HOST", "DB_PASS", "API_KEY"])
      assert.deepStrictEqual(yield* names({ except: ["DB_*", "EMPTY"] }), ["API_KEY"])
      assert.deepStrictEqual(yield* names({ only: ["DB_*"], except: ["DB_HOST"], prefix: "a/" }), ["a/DB_PASS"])
      assert.deepStrictEqual(yield* names({ skipEmpty: true }), ["DB_HOST", "DB_PASS", "API_KEY"])
    })
  )

  it.effect("are named if they are left out because they are empty", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* select({ skipEmpty: true, except: ["API_KEY"] }, `${text}NONE=''\n`)).skipped, [
        "EMPTY",
        "NONE"
      ])
      assert.deepStrictEqual((yield* select({ except: ["EMPTY"] })).skipped, [])
    })
  )

  it.effect("are missing in a file without any", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(select({}, "# nothing\n"))
      assert.deepStrictEqual(
        [failure.message, failure.fix],
        [".env has no variable to add", "Name a file with lines of NAME=VALUE"]
      )
    })
  )

  it.effect("may have errors where they are not selected", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* names({ only: ["B"] }, "A=$x\nB=1\nC=\n"), ["B"])
    })
  )

  it.effect("have all their errors reported at once", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(select({ except: ["D"] }, "A=$hush\nB=`hush`\nnot one\nC=\nE=\nD=`\n"))
      assert.strictEqual(failure.message, ".env has 4 errors")
      assert.deepStrictEqual(failure.why, [
        "line 1: the value of A has characters that a shell would expand; put it in single quotes",
        "line 2: the value of B has backquotes",
        "line 3: expected NAME=VALUE",
        "no value for C, E"
      ])
      assert.strictEqual(failure.fix, "Correct the file and try again. Nothing was added")
    })
  )

  it.effect("are suggested for a name that is not among them", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(select({ only: ["API_KYE"] }))
      assert.strictEqual(failure.message, ".env: no variable API_KYE; did you mean API_KEY?")
    })
  )

  it.effect("must have values, or be left out", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(select({}))
      assert.deepStrictEqual(
        [failure.message, failure.fix, failure.exitStatus],
        [
          ".env: no value for EMPTY",
          "Give these variables values, or leave them out with --skip-empty. Nothing was added",
          2
        ]
      )
      assert.strictEqual(
        (yield* Effect.flip(select({ only: ["EMPTY"], skipEmpty: true }))).message,
        ".env has no variable to add"
      )
    })
  )

  it.effect("have at most twenty of their errors printed", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(select({}, "A\n".repeat(30)))
      assert.strictEqual(failure.why?.length, 21)
      assert.strictEqual(failure.why?.[20], "and 10 more")
    })
  )
})

describe("the project file of an import", () => {
  it.effect("gives each variable its secret, and never replaces another file", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const variables = [
        { variable: "A", secret: "x/A", value: "hush" },
        { variable: "b.c", secret: "x/b.c", value: "hush" }
      ]
      const { file, write } = yield* prepareProject(directory, variables)
      assert.strictEqual(file, path.join(directory, ".secrets.json"))
      assert.isFalse(fs.existsSync(file))
      yield* write
      assert.deepStrictEqual(JSON.parse(fs.readFileSync(file, "utf8")), {
        secrets: [
          { name: "x/A", env_var: "A" },
          { name: "x/b.c", env_var: "B_C" }
        ]
      })
      const failure = yield* Effect.flip(prepareProject(directory, variables))
      assert.strictEqual(failure.message, `${file} exists already`)
    })
  )
})
