/**
 * Fingerprints find a value at any position and in any encoding, with almost no false
 * matches.
 */
import { assert, describe, it } from "@effect/vitest"
import { searchVariants, maxVariantLength } from "../../src/domain/variants.ts"
import { matcherOf, fingerprintsOf, multiplierFrom } from "../../src/domain/fingerprints.ts"
import { randomFrom } from "../support/random.ts"

const multiplier = multiplierFrom(0x5bd1e994)
const finder = (value: string) => matcherOf(fingerprintsOf(value, multiplier), multiplier)
const isFound = (value: string, text: string) => finder(value)(Buffer.from(text)).length > 0

describe("the fingerprints of a value", () => {
  const value = 'p@ss "wörd"/+>1\\2'
  for (const [title, text] of [
    ["as it is", value],
    ["in a line", `x=${value};`],
    ["in JSON", JSON.stringify({ a: [value] })],
    ["in a URL", `https://x:${encodeURIComponent(value)}@host/`],
    ["in a URL with lower-case hex digits", encodeURIComponent(value).replace(/%../g, (code) => code.toLowerCase())],
    ["in a form", new URLSearchParams({ x: value }).toString()],
    ["in JSON with escaped slashes", JSON.stringify(value).replaceAll("/", "\\/")],
    ["in hex", Buffer.from(value).toString("hex")],
    ["in upper-case hex", Buffer.from(value).toString("hex").toUpperCase()],
    ["in base64", Buffer.from(value).toString("base64")],
    ["in base64, one byte in", Buffer.from(`:${value}`).toString("base64")],
    ["in base64, two bytes in, with text behind it", Buffer.from(`u:${value}\n`).toString("base64")],
    ["in base64 for URLs", Buffer.from(`user:${value}?>`).toString("base64url")]
  ] as const) {
    it(`find it ${title}`, () => assert.isTrue(isFound(value, text)))
  }

  it("find it in base64 of several lines", () => {
    const long = value.repeat(9)
    const encoded = Buffer.from(`${long}\n`).toString("base64")
    for (const lines of [/.{76}(?=.)/g, /.{64}(?=.)/g]) {
      const broken = encoded.replaceAll(lines, "$&\n")
      assert.isTrue(isFound(long, broken))
      assert.strictEqual(finder(long)(Buffer.from(broken)).length, 1)
    }
  })

  it("find it without the white space around it", () => assert.isTrue(isFound("  secret value\n", "x=secret value;")))

  it("find a value of several lines by its longest line, with any indentation", () => {
    const key = "-----BEGIN X-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nshort\n-----END X-----\n"
    assert.isTrue(isFound(key, key.replaceAll("\n", "\r\n    ")))
    assert.isFalse(isFound(key, "-----BEGIN X-----"))
  })

  it("find a value that is longer than the buffer of a scan, by its prefix", () => {
    const long = Array.from({ length: maxVariantLength }, (_, n) => String.fromCodePoint(33 + ((n * 7919) % 90))).join(
      "é"
    )
    const forms = searchVariants(long)
    assert.isTrue(forms.every((form) => form.length <= maxVariantLength))
    assert.isTrue(isFound(long, long))
  })
})

it("fingerprints find a value at every position of a text, with almost no false matches", () => {
  const random = randomFrom(20_260_222)
  for (let round = 0; round < 300; round += 1) {
    const text = Buffer.from(Array.from({ length: 400 }, () => 32 + random.below(90)))
    const start = random.below(380)
    const length = 8 + random.below(400 - start - 8)
    const value = text.toString("latin1", start, start + length)
    const places = matcherOf(fingerprintsOf(value, multiplier), multiplier)(text)
    const form = Buffer.from(value.trim())
    if (form.length < 8) continue
    assert.deepInclude(places, { start: text.indexOf(form), end: text.indexOf(form) + form.length })
    // A spelling that is escaped only near its beginning shares its middle and end with the plain one.
    assert.isAtMost(places.length, 6)
  }
})

it("a value of 8 bytes has fingerprints, and a shorter one has none", () => {
  assert.deepStrictEqual(fingerprintsOf("1234567", multiplier), [])
  assert.deepStrictEqual(fingerprintsOf(" 1234567\n", multiplier), [])
  assert.isTrue(isFound("12345678", "12345678"))
})

it("fingerprints depend on the multiplier", () => {
  const other = multiplierFrom(12_345_678)
  const pairs = (chosen: number) =>
    fingerprintsOf("a made up value", chosen).map(({ end, middle }) => `${middle} ${end}`)
  assert.deepStrictEqual(
    pairs(multiplier).filter((pair) => pairs(other).includes(pair)),
    []
  )
})
