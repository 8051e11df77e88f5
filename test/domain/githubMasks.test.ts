/**
 * What the log of a GitHub job hides: every value, line by line, and no text that any log has.
 */
import { assert, describe, it } from "@effect/vitest"
import { githubMasks } from "../../src/domain/githubMasks.ts"

const masks = (value: string): ReadonlyArray<string> =>
  githubMasks([{ name: "A", value }])
    .commands.split("\n")
    .filter((line) => line !== "")

describe("the masks of a value", () => {
  it("are one of a single line, and of the long ones of several", () => {
    assert.deepStrictEqual(masks("hush"), ["::add-mask::hush"])
    assert.deepStrictEqual(masks("hush\n"), ["::add-mask::hush"])
    assert.deepStrictEqual(masks("line 100%\r\nEND\n\nlast line\n"), [
      "::add-mask::line 100%25",
      "::add-mask::last line"
    ])
  })

  it("hide no brace of the log, and the strings of JSON", () => {
    const key = "-----BEGIN X-----\nabcdefgh\n"
    const value = JSON.stringify({ id: "user", key, list: ["made-up-token"] }, undefined, 2)
    assert.deepStrictEqual(masks(value), [
      '::add-mask::"id": "user",',
      '::add-mask::"key": "-----BEGIN X-----\\nabcdefgh\\n",',
      '::add-mask::"list": [',
      '::add-mask::"made-up-token"',
      "::add-mask::-----BEGIN X-----",
      "::add-mask::abcdefgh",
      "::add-mask::made-up-token"
    ])
    assert.includeMembers([...masks(JSON.stringify({ token: "made-up-token" }))], ["::add-mask::made-up-token"])
  })

  it("are missing for a value that is too short, which is named", () => {
    const variables = ["", "abc", "{\n}", "abcd"].map((value, at) => ({ name: `A${at}`, value }))
    assert.deepStrictEqual(githubMasks(variables), { commands: "::add-mask::abcd\n", unmasked: ["A1", "A2"] })
  })
})
