/**
 * `below` joins paths as Node does.
 */
import { assert, describe, it } from "@effect/vitest"
import * as path from "node:path"
import { below } from "../../src/domain/paths.ts"

const pieces = ["", "/", "//", "a", ".", "..", ".a", "..a", "a.", " ", "ä", "\n"]
const directories = pieces.flatMap((one) =>
  pieces.flatMap((two) =>
    pieces.flatMap((three) => [one + two + three, `/${one}/${two}/${three}`, `/${one}${two}${three}`])
  )
)

describe("below", () => {
  it("equals Node's join for every spelling of a directory", () => {
    assert.isAbove(directories.length, 5000)
    for (const directory of directories) {
      assert.strictEqual(below(directory, "x"), path.join(directory, "x"), JSON.stringify(directory))
    }
  })
})
