/**
 * Globs: what each character matches, and that no glob takes long.
 */
import { assert, describe, it } from "@effect/vitest"
import { globCovers, globMatcher } from "../../src/domain/glob.ts"

describe("a glob", () => {
  it.each([
    ["prod_*", ["prod_", "prod_a", "prod_a/b\nc"], ["prod", "xprod_a", "PROD_a"]],
    ["*", ["", "a", "*"], []],
    ["a?c", ["abc", "a💡c", "a?c"], ["ac", "abbc"]],
    ["[a-c]x", ["ax", "bx", "cx"], ["dx", "x", "-x"]],
    ["[!a-c]", ["d", "💡"], ["a", "", "dd"]],
    ["*a*b*", ["ab", "xaxbx"], ["ba", "b"]],
    ["ab*ba", ["abba", "abxba"], ["aba", "ab", "ba"]],
    ["a**b*c", ["abc", "axbxc"], ["acb", "ab", "ac"]],
    ["x[ab]*y", ["xay", "xbzy"], ["xcy", "xa", "ay"]],
    ["*.key", ["a.key", ".key.key"], ["akey", "a.keys"]],
    ["a.b(c)+\\d$^|", ["a.b(c)+\\d$^|"], ["aXb(c)+\\d$^|", "a.bc"]],
    ["[", ["["], ["a"]],
    ["a[", ["a["], ["a"]],
    ["", [""], ["a"]]
  ] as const)("%j matches whole names", (glob, matching, others) => {
    const matches = globMatcher(glob)
    for (const name of matching) assert.isTrue(matches(name), name)
    for (const name of others) assert.isFalse(matches(name), name)
  })

  it("with many stars needs no more steps than its length times that of the name", () => {
    assert.isFalse(globMatcher("*a".repeat(100))("a".repeat(16 * 1024 - 1).concat("b")))
    assert.isTrue(globMatcher("*a".repeat(100))("a".repeat(16 * 1024)))
  })
})

describe("globCovers", () => {
  it.each([
    ["*", "a*b?[x]", true],
    ["a*", "ab*", true],
    ["a*", "a", true],
    ["a?", "a*", false],
    ["?*", "*", false],
    ["[a-c]", "b", true],
    ["[a-c]", "[a-c]", true],
    ["[a-c]", "[a-b]", false],
    ["?", "[a-b]", true],
    ["a*c", "a*b*c", true],
    ["a*b*c", "a*c", false],
    ["a", "b", false]
  ] as const)("%j covers %j: %s", (wider, narrower, expected) => {
    assert.strictEqual(globCovers(wider, narrower), expected)
  })
})
