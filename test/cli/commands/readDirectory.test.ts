/**
 * Paths of the command line whose bytes are not UTF-8.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { givenPath } from "../../../src/cli/commands/readDirectory.ts"
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
