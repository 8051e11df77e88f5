/**
 * Values in a stream are masked, nothing else is, and output is not held back for long.
 */
import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { inspect } from "node:util"
import { countMaskable, maskPrefixLength, makeMaskers } from "../../src/domain/Masker.ts"
import { encodedVariants, encodedVariantsOfAll, jsonStrings } from "../../src/domain/variants.ts"
import { cpuMillis } from "../support/cpuTime.ts"
import { randomFrom } from "../support/random.ts"
import { maskRounds } from "../torture/mask.ts"

const maskerFor = (...values: ReadonlyArray<string>) => makeMaskers(values.flatMap(encodedVariants))()
const masked = (value: string, output: string): string => {
  const masker = maskerFor(value)
  return Buffer.concat([masker.push(Buffer.from(output)), masker.end()]).toString()
}

describe("masking", () => {
  it.each([1, 2, 3])("masks what a plain search finds, however the output is split (seed %d)", (seed) => {
    const failures: Array<string> = []
    const { failed } = maskRounds(150, randomFrom(seed), (line) => failures.push(line))
    assert.strictEqual(failed, 0, failures.join("\n"))
  })

  const value = "s3cr&t/+ü~*'\"\\\nline two of it <x>"
  /** As programs do that keep only letters, digits and -._~ as they are. */
  const strictly = (text: string) => encodeURIComponent(text).replaceAll("'", "%27").replaceAll("*", "%2A")
  const bytes = Buffer.from(value)
  for (const [form, text] of [
    ["as it is", value],
    ["in base64", bytes.toString("base64")],
    ["in base64 without padding", bytes.toString("base64").replaceAll("=", "")],
    ["in base64url", bytes.toString("base64url")],
    ["in hexadecimal", bytes.toString("hex")],
    ["in upper-case hexadecimal", bytes.toString("hex").toUpperCase()],
    ["in a URL", encodeURIComponent(value)],
    ["in a URL with lower-case hex digits", encodeURIComponent(value).replaceAll(/%../g, (code) => code.toLowerCase())],
    ["in a form", new URLSearchParams({ a: value }).toString().slice(2)],
    ["in the path of a URL", strictly(value).replaceAll("%2F", "/")],
    ["in a whole URL", encodeURI(value)],
    ["in a query of Go or Python", strictly(value).replaceAll("%20", "+")],
    ["in a buffer that Node prints", inspect(bytes).slice(8, -1)],
    ["in JSON", JSON.stringify(value).slice(1, -1)],
    ["in a shell's trace", value.replaceAll("'", "'\\''")]
  ] as const) {
    it(`masks a value ${form}`, () => assert.strictEqual(masked(value, `before ${text} after`), "before *** after"))
  }

  it("masks the base64 letters that depend on the value alone, at every alignment", () => {
    for (const before of ["", "a", "ab", "abc"]) {
      const whole = Buffer.from(`${before}hunter22-and-more-of-it:x`).toString("base64")
      const shown = masked("hunter22-and-more-of-it", whole)
      assert.match(shown, /\*\*\*/)
      // Up to two letters at either end also depend on the neighboring bytes.
      assert.isAtMost(shown.length - 3, Math.ceil((before.length * 4) / 3) + 8, shown)
    }
  })

  it.each([76, 64])("masks base64 in lines of %d letters, to the end", (length) => {
    const key = Array.from({ length: 300 }, (_, at) => String.fromCharCode(33 + ((at * 7) % 90))).join("")
    const lines =
      Buffer.from(`${key}\n`)
        .toString("base64")
        .match(new RegExp(`.{1,${length}}`, "g")) ?? []
    assert.match(masked(key, `${lines.join("\n")}\n`), /^\*\*\*.{0,4}\n$/)
  })

  it("masks every line of a value that is long enough", () => {
    const key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nshort\n"
    assert.strictEqual(masked(key, "> MIIEvQIBADANBgkq\n> short\n"), "> ***\n> short\n")
  })

  it("does not mask a value of less than four bytes", () => {
    assert.strictEqual(masked("abc", "abc abc"), "abc abc")
  })

  it("passes on invalid UTF-8 and terminal control sequences unchanged", () => {
    const bytes = Buffer.concat([Buffer.from([0xff, 0xfe, 0x00, 0xc3]), Buffer.from("\u001b[31m€\r")])
    const masker = maskerFor("hunter22")
    assert.deepStrictEqual(Buffer.concat([masker.push(bytes), masker.end()]), bytes)
  })

  it("holds back only the prefix of a value", () => {
    const masker = maskerFor("hunter22")
    assert.strictEqual(masker.push(Buffer.from("Password: ")).toString(), "Password: ")
    assert.strictEqual(masker.push(Buffer.from("a hunt")).toString(), "a ")
    assert.strictEqual(masker.push(Buffer.from("ing hunter2")).toString(), "hunting ")
    assert.strictEqual(masker.push(Buffer.from("2.")).toString(), "***.")
  })

  it("releases a few bytes on request, and still masks the rest", () => {
    const masker = maskerFor("hunter22")
    assert.strictEqual(masker.push(Buffer.from("$ hu")).toString(), "$ ")
    assert.isTrue(masker.mayRelease())
    assert.strictEqual(masker.release().toString(), "hu")
    assert.isFalse(masker.mayRelease())
    assert.strictEqual(masker.push(Buffer.from("nter22!")).toString(), "***!")
  })

  it("releases at most three bytes of a value, however slowly it arrives", () => {
    const masker = maskerFor("hunter22")
    let shown = ""
    for (const letter of "hunter22\n") {
      shown += masker.push(Buffer.from(letter)).toString()
      if (masker.mayRelease()) shown += masker.release().toString()
    }
    assert.strictEqual(shown, "hun***\n")
  })

  it("masks a long value from its prefix as far as it is printed", () => {
    const long = Array.from({ length: 500 }, (_, at) => String.fromCharCode(33 + ((at * 7) % 90))).join("")
    assert.strictEqual(masked(long, `${long.slice(0, 300)}|`), "***|")
    assert.strictEqual(
      masked(long, `${long.slice(0, maskPrefixLength - 1)}|`),
      `${long.slice(0, maskPrefixLength - 1)}|`
    )
  })

  it("masks a long value with a repeating prefix within more of the same", () => {
    const long = `${"ab".repeat(40)}and its tail`
    for (const more of ["", "ab", "abababab", "ab".repeat(60)])
      assert.strictEqual(masked(long, `${more}${long}.`), "***.")
  })

  it("takes no more time for a long repeating value", () => {
    const output = Buffer.alloc(1_000_000, "a")
    const [short, long] = [300, 300_000].map((length) => {
      const masker = maskerFor("a".repeat(length))
      return cpuMillis(() => assert.strictEqual(masker.push(output).toString(), "***"))
    })
    // Beginning again at each letter would take many times as long.
    assert.isBelow(long ?? Number.NaN, 10 * Math.max(10, short ?? Number.NaN))
  })

  it("drops encodings, but no value, if there are too many values", () => {
    const values = Array.from({ length: 600 }, (_, at) => createHash("sha256").update(String(at)).digest("hex"))
    const forms = encodedVariantsOfAll(values)
    const fitting = countMaskable(forms)
    assert.isBelow(fitting, forms.length)
    const masker = makeMaskers(forms.slice(0, fitting))()
    assert.strictEqual(
      masker.push(Buffer.from(`${values.join(" ")}.`)).toString(),
      `${values.map(() => "***").join(" ")}.`
    )
  })

  it("masks the long strings in a JSON value, at any depth, and none of the names", () => {
    const key = "-----BEGIN KEY-----\nbGluZSBvZiBhIGtleQ\n-----END KEY-----\n"
    const value = JSON.stringify(
      { client_id: "short", credentials: [{ client_secret: 'a "quoted" secret', private_key: key }], port: 12345678 },
      null,
      2
    )
    const maskerOfAll = (...values: ReadonlyArray<string>) => makeMaskers(encodedVariantsOfAll(values))()
    const output = `a "quoted" secret, ${Buffer.from('a "quoted" secret').toString("base64")}, bGluZSBvZiBhIGtleQ`
    for (const form of [value, `  ${value}`, JSON.stringify({ nested: value }), JSON.stringify(value)]) {
      assert.strictEqual(
        maskerOfAll(form)
          .push(Buffer.from(`${output}.`))
          .toString(),
        "***, ***, ***."
      )
      const plain = "client_id client_secret private_key short 12345678."
      assert.strictEqual(maskerOfAll(form).push(Buffer.from(plain)).toString(), plain)
    }
    for (const other of ["{not JSON", "[".repeat(100_000), `"${"x".repeat(7)}"`]) {
      assert.deepStrictEqual(jsonStrings(other), [])
    }
  })

  it("masks thousands of strings in one value by their plain text", () => {
    const strings = Array.from({ length: 5_000 }, (_, at) => `string ${at}`)
    const forms = encodedVariantsOfAll([JSON.stringify(strings)])
    assert.include(
      forms.map((form) => form.toString()),
      "string 4999"
    )
    assert.isBelow(forms.length, 40_000)
  })

  it("counts the variants it can mask", () => {
    const lines = Array.from({ length: 5_000 }, (_, at) => Buffer.from(`line ${at} of a long value `.padEnd(70, "x")))
    assert.strictEqual(countMaskable(lines.slice(0, 100)), 100)
    assert.isBelow(countMaskable(lines), 4_000)
  })
})
