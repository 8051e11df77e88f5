/**
 * References to secrets: alone, and in a template.
 */
import { assert, describe, it } from "@effect/vitest"
import { parseReference, parseTemplate, referredValue, withoutMember } from "../../src/domain/reference.ts"

describe("a reference", () => {
  it.each([
    ["secret://db", { secret: "db", member: undefined }],
    ["secret://team/db.main#password", { secret: "team/db.main", member: "password" }]
  ])("is read: %s", (text, expected) => assert.deepStrictEqual(parseReference(text), expected))

  it.each([
    "secret://",
    "secret://#x",
    "secret://a#",
    "secret://a b",
    " secret://a",
    "op://a/b/c",
    "secret:/a",
    "secret://a#b#c"
  ])("is none: %j", (text) => assert.isUndefined(parseReference(text)))

  it("to a member is that member as text, and nothing of another value", () => {
    const value =
      '{"user":"me","port":5432,"id":12345678901234567890,"rate":1.50,"on":true,"nested":{"a":1},"none":null}'
    const member = (name: string) => referredValue({ member: name }, value)
    assert.deepStrictEqual(["user", "port", "id", "rate", "on"].map(member), [
      "me",
      "5432",
      "12345678901234567890",
      "1.50",
      "true"
    ])
    assert.deepStrictEqual(
      ["nested", "nested.a", "none", "toString", "__proto__"].flatMap((one) => member(one) ?? []),
      []
    )
    assert.isUndefined(referredValue({ member: "user" }, "no JSON"))
    assert.match(withoutMember(value), /^the value is JSON without that member/)
    for (const other of ["no JSON", "[1]", "null"])
      assert.strictEqual(withoutMember(other), "the value is no JSON object")
    assert.strictEqual(referredValue({ member: undefined }, "no JSON"), "no JSON")
  })
})

describe("a template", () => {
  it("has text and references, in order", () => {
    const { malformed, parts } = parseTemplate(
      "a: {{ secret://db }}\nb: {{secret://j#k}}{{ op://x/y }} {{ other }} secret://c\n"
    )
    assert.deepStrictEqual(malformed, [])
    assert.deepStrictEqual(parts, [
      "a: ",
      { secret: "db", member: undefined, line: 1 },
      "\nb: ",
      { secret: "j", member: "k", line: 2 },
      "{{ op://x/y }} {{ other }} secret://c\n"
    ])
  })

  it("names the lines of what only begins like a reference", () => {
    const text = "{{ secret://a b }}\n{{ secret://a\n}}\n{{ secret://a }\n{{ secret://ok }}\n{{ secret:// }}"
    assert.deepStrictEqual(parseTemplate(text).malformed, [1, 2, 4, 6])
  })

  it("takes time in proportion to its length", () => {
    const { parts } = parseTemplate("{{ secret://".repeat(20_000))
    assert.strictEqual(parts.length, 1)
  })
})
