/**
 * What a trusted path covers, and which client ids a project can get.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  isWithin,
  projectClientId,
  projectHash,
  readTrustList,
  renderTrustList,
  withEntry,
  withoutPath
} from "../../src/domain/ProjectTrust.ts"

describe("the client id of a project", () => {
  const own = "host"
  const named = [
    "a",
    "A",
    "a/b",
    "a:b",
    "/",
    ":",
    "//",
    "..",
    "%2F",
    "%",
    "host",
    "host/",
    "/host",
    " ",
    "\u00e4",
    "a\u0308",
    "\ud800"
  ]
  const more = ["[1]", "sh[1]", "\n", "\0", "x".repeat(5000), "\u200b", "\uff0f", "\u2215"]

  it("begins with the user's own, and has no separator in what the file names", () => {
    for (const given of [...named, ...more]) {
      assert.match(projectClientId(own, given), /^host\/[^/:[\]\s\p{Cc}\p{Cf}]+$/u, JSON.stringify(given))
    }
    assert.strictEqual(projectClientId(own, undefined), own)
  })

  it("differs for different names", () => {
    const ids = [...named, ...more].map((given) => projectClientId(own, given))
    assert.lengthOf(new Set(ids), ids.length)
  })
})

describe("a trusted path", () => {
  it("covers itself and what is below, by whole components", () => {
    for (const [path, root, expected] of [
      ["/a/b", "/a", true],
      ["/a", "/a", true],
      ["/a/b", "/", true],
      ["/ab", "/a", false],
      ["/a", "/a/b", false],
      ["/A/b", "/a", false]
    ] as const) {
      assert.strictEqual(isWithin(path, root), expected, `${path} ${root}`)
    }
  })
})

describe("the list", () => {
  const entry = (path: string, digit: string) => ({ path, hash: digit.repeat(64), allowed_at: "2026-01-01T00:00:00Z" })

  it("has one entry per path, and is read as it was written", () => {
    const list = withEntry(withEntry([entry("/b", "0"), entry("/a", "1")], entry("/b", "2")), entry("/c\n", "3"))
    const [a, b, c] = [entry("/a", "1"), entry("/b", "2"), entry("/c\n", "3")]
    const expected = [a, b, c]
    assert.deepStrictEqual(readTrustList(renderTrustList(list)), expected)
    assert.deepStrictEqual(withoutPath(expected, "/b"), [a, c])
  })

  it("is not read if anything in it is wrong", () => {
    for (const text of [
      "",
      "{}",
      "[]",
      "null",
      '{"trusted":{}}',
      renderTrustList([entry("/a", "g")]),
      renderTrustList([entry("/a", "1")]).slice(1)
    ]) {
      assert.isUndefined(readTrustList(text), text)
    }
  })

  it("has another hash for every other division into parts", () => {
    const hashes = [["ab", "c"], ["a", "bc"], ["a", "b", "c"], ["abc"], ["abc", ""], ["c", "ab"]].map(projectHash)
    assert.lengthOf(new Set(hashes), hashes.length)
  })
})
