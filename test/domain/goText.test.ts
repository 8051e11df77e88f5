/**
 * JSON and quoted names are exactly as Go's encoders write them (protocol specification,
 * 3 and 7), and the JSON keeps its meaning.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { quote, stringify } from "../../src/domain/goText.ts"

const escaped: ReadonlyArray<readonly [text: string, json: string]> = [
  ["plain", `"plain"`],
  ["<a> & <b>", String.raw`"\u003ca\u003e \u0026 \u003cb\u003e"`],
  ["\u2028", String.raw`"\u2028"`],
  ["\u2029", String.raw`"\u2029"`],
  ["\n\r\t", String.raw`"\n\r\t"`],
  ["\b\f\v\u0000\u001f", String.raw`"\u0008\u000c\u000b\u0000\u001f"`],
  ['"\\', String.raw`"\"\\"`],
  // A backslash before a letter is not an escape of that letter.
  ["\\b\\f\\\\b<", String.raw`"\\b\\f\\\\b\u003c"`],
  ["\u007f\u00e9\u4e16\ud83d\ude00", `"\u007f\u00e9\u4e16\ud83d\ude00"`]
]

const quoted: ReadonlyArray<readonly [name: string, text: string]> = [
  ["", `""`],
  ["db password", `"db password"`],
  ['say "hi"', String.raw`"say \"hi\""`],
  ["a\\b", String.raw`"a\\b"`],
  ["\n\t\r\u0007\b\f\v", String.raw`"\n\t\r\a\b\f\v"`],
  ["\u0001\u001f\u007f", String.raw`"\x01\x1f\x7f"`],
  ["\u0080\u00a0\u00ad", String.raw`"\u0080\u00a0\u00ad"`],
  ["\u200b\u2028\u3000\ufeff\ue000", String.raw`"\u200b\u2028\u3000\ufeff\ue000"`],
  ["<é世😀�>", `"<é世😀�>"`],
  ["\u{e0001}", String.raw`"\U000e0001"`]
]

describe("stringify", () => {
  it.each(escaped)("encodes %j as %s", (text, json) => {
    assert.strictEqual(stringify(text), json)
  })

  it("escapes the names of members too", () => {
    assert.strictEqual(stringify({ "a<b": "\b" }), String.raw`{"a\u003cb":"\u0008"}`)
  })

  it("omits undefined members", () => {
    assert.strictEqual(stringify({ a: undefined, b: null, c: [1, true] }), `{"b":null,"c":[1,true]}`)
  })

  it("indents as requested", () => {
    assert.strictEqual(stringify({ a: [], b: { c: ">" } }, 2), `{\n  "a": [],\n  "b": {\n    "c": "\\u003e"\n  }\n}`)
  })

  // JSON.parse of Node 24 may read a name of one escaped character as "\\" once it has seen an object with that name.
  const Json = Arbitrary.filter(Arbitrary.schema(Schema.Json), (value) => !/"\\\\":/.test(JSON.stringify(value)))

  it.prop("keeps the meaning, on one line without a character that Go escapes", [Json], ([value]) => {
    const json = stringify(value)
    assert.deepStrictEqual(JSON.parse(json), JSON.parse(JSON.stringify(value)))
    assert.notMatch(json, /[<>&\u2028\u2029]|(?![\u007f-\u009f])\p{Cc}/u)
  })

  const Odd = Schema.Array(Schema.Literals(["\\", "\\", "b", "f", "\b", "\f", "<", '"', "\n"]))

  it.prop("distinguishes escapes from letters after backslashes", [Odd], ([texts]) => {
    const text = texts.join("")
    const json = stringify(text)
    assert.strictEqual(JSON.parse(json), text)
    assert.notMatch(json.replaceAll("\\\\", ""), /\\[bf]|</)
  })

  it.prop("uses only the short escapes of Go", [Schema.String], ([text]) => {
    assert.notMatch(stringify(`${text}\b\f`).replaceAll("\\\\", ""), /\\[^"nrtu]/)
  })
})

describe("quote", () => {
  it.each(quoted)("quotes %j as %s", (name, text) => {
    assert.strictEqual(quote(name), text)
  })

  it.prop("keeps a name on one line and delimited", [Schema.String], ([name]) => {
    const inner = quote(name).slice(1, -1)
    assert.notMatch(inner, /[\p{Cc}\u2028\u2029]/u)
    assert.notMatch(inner.replaceAll(/\\./gu, ""), /["\\]/)
  })

  it.prop("quotes different names differently", [Schema.String, Schema.String], ([one, other]) => {
    assert.strictEqual(quote(one) === quote(other), one === other)
  })
})
