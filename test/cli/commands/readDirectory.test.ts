/**
 * Paths of the command line and of directories whose bytes are not UTF-8.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { givenPath, readDirectory } from "../../../src/cli/commands/readDirectory.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

describe("a path of the command line", () => {
  it.effect("has the bytes that were given, where the system shows them", () =>
    Effect.gen(function* () {
      const commandLine = path.join(yield* temporaryDirectory, "cmdline")
      fs.writeFileSync(commandLine, Buffer.from("secrets\0scan\0a\xff/b\0\xef\xbf\xbd\0", "latin1"))
      const given = (word: string) => givenPath(word, commandLine)
      assert.deepStrictEqual(
        [given("plain"), given("a\ufffd/b"), given("\ufffd"), given("other\ufffd")],
        ["plain", "a\udcff/b", "\ufffd", "other\ufffd"]
      )
      assert.strictEqual(givenPath("a\ufffd/b", `${commandLine}.none`), "a\ufffd/b")
    })
  )
})

describe("the entries of a directory", () => {
  it.effect("are named by their bytes, and no link is followed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const inside = (name: string) => Buffer.from(`${directory}/${name}`, "latin1")
      fs.mkdirSync(inside("d"))
      fs.writeFileSync(inside("f\xc3\xa9"), "")
      fs.symlinkSync("d", inside("l"))
      // Not all systems allow such a name.
      const odd = process.platform === "linux" ? ["o\udcff"] : []
      if (odd.length > 0) fs.writeFileSync(inside("o\xff"), "")
      const seen = readDirectory(directory).map((entry) => [
        entry.name,
        "status" in entry && [entry.status.isFile(), entry.status.isDirectory()]
      ])
      assert.deepStrictEqual(seen, [
        ["d", [false, true]],
        ["f\u00e9", [true, false]],
        ["l", [false, false]],
        ...odd.map((name) => [name, [true, false]])
      ])
    })
  )
})
