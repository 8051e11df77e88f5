/**
 * Every failed system call is reported with a name and a text, also those that Node has no name for.
 */
import { assert, describe, it } from "@effect/vitest"
import { constants } from "node:os"
import { FileError } from "../../src/daemon/files/durableFile.ts"
import { reasonOf } from "../../src/cli/command/Output.ts"

/** As Node throws an error whose number it does not know: in the first form by a callback, in the second by a sync call. */
const unknown = (errno: number) => [
  Object.assign(new Error("UNKNOWN: unknown error, write"), { errno: -errno, code: "UNKNOWN", syscall: "write" }),
  Object.assign(new Error(`Unknown system error -${errno}: Unknown system error -${errno}, mkdir '/x'`), {
    errno: -errno,
    code: `Unknown system error -${errno}`,
    syscall: "mkdir",
    path: "/x"
  })
]

describe("a failed system call", () => {
  for (const [name, errno, text] of [
    ["EDQUOT", constants.errno.EDQUOT, "disk quota exceeded"],
    ["ESTALE", constants.errno.ESTALE, "stale file handle"],
    ["ENOLCK", constants.errno.ENOLCK, "no locks available"],
    ["EUCLEAN", 117, "structure needs cleaning"]
  ] as const) {
    it(`is named and described if Node has no name for it: ${name}`, () => {
      for (const cause of unknown(errno)) {
        const error = new FileError({ operation: "write", path: "/x", cause })
        assert.strictEqual(error.message, `cannot write /x: ${name}: ${text}`)
        assert.strictEqual(error.code, name)
        assert.strictEqual(reasonOf(cause), `${name}: ${text}`)
      }
    })
  }

  it("has its number if nobody has a name for it", () => {
    for (const cause of unknown(4000)) {
      assert.strictEqual(reasonOf(cause), "system error 4000")
      assert.strictEqual(
        new FileError({ operation: "write", path: "/x", cause }).message,
        "cannot write /x: system error 4000"
      )
    }
  })

  it("keeps the words of Node if Node has a name for it", () => {
    const cause = Object.assign(new Error("ENOSPC: no space left on device, write"), { errno: -28, code: "ENOSPC" })
    const error = new FileError({ operation: "write", path: "/x", cause })
    assert.deepStrictEqual(
      [error.message, error.code, reasonOf(cause), reasonOf(new Error("not a regular file"))],
      ["cannot write /x: ENOSPC: no space left on device", "ENOSPC", "ENOSPC", "not a regular file"]
    )
  })
})
