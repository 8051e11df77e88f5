/**
 * What a value looks like from the outside: one row for each form, and none that holds a part of
 * the value.
 */
import { assert, describe, it } from "@effect/vitest"
import { formOf } from "../../src/domain/valueForm.ts"

/** Made-up text of a length. */
const letters = (length: number) => "xyzUVW0123456789".repeat(Math.ceil(length / 16)).slice(0, length)
const pem = (label: string, body = letters(64)) => `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`
const base64 = (json: object) => Buffer.from(JSON.stringify(json)).toString("base64url")

/** A certificate of example.test, whose key was thrown away. */
const certificate = `-----BEGIN CERTIFICATE-----
MIIBcTCCARagAwIBAgIBATAKBggqhkjOPQQDAjAXMRUwEwYDVQQDDAxleGFtcGxl
LnRlc3QwHhcNMjYxMTMwMDQ0ODU1WhcNMzYxMTI3MDQ0ODU1WjAXMRUwEwYDVQQD
DAxleGFtcGxlLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQCNjsGQyPD
1ciux1xgPlWFiLPTiN2HZYuqeGDy9t+YaredQwUJ+b7GFMkzKl7pW79R8izY/DXu
EftZ8rQBT0M1o1MwUTAdBgNVHQ4EFgQUp6DKdI2t0TWwYMnJyeFbOyezuiUwHwYD
VR0jBBgwFoAUp6DKdI2t0TWwYMnJyeFbOyezuiUwDwYDVR0TAQH/BAUwAwEB/zAK
BggqhkjOPQQDAgNJADBGAiEA4S+2yGdqh8YNDsBZxQGE9HsyTJn8V+qcUX0iv5gz
bF0CIQDsdoR/WluxfKCcQS8doM91WbuYVyRVP/y5ZhzOavjixw==
-----END CERTIFICATE-----
`
const jwt = `eyJ${letters(20)}.${base64({ sub: "someone", exp: 1_800_000_000 })}.${letters(43)}`

describe("the form of a value", () => {
  for (const [value, kind, what] of [
    [`gh${"p_"}${letters(36)}`, "token", "GitHub token"],
    [`gh${"p_"}${letters(36)}\n`, "token", "GitHub token"],
    [`AK${"IA"}ABCDEFGHIJKLMNOP`, "token", "AWS access key id"],
    [`sk-${"ant-"}${letters(40)}`, "token", "Anthropic key"],
    [`AGE-SECRET-${"KEY-1"}${"Q".repeat(58)}`, "key", "age identity"],
    [`age1${"q".repeat(58)}`, "key", "age recipient"],
    [jwt, "token", "JSON Web Token"],
    [letters(40), "token", "token of an unknown issuer"],
    ["123e4567-e89b-12d3-a456-426614174000", "token", "UUID"],
    ["0123456789abcdef".repeat(4), "key", "256 bits in hex"],
    [pem("OPENSSH PRIVATE KEY"), "key", "SSH private key"],
    [pem("RSA PRIVATE KEY"), "key", "RSA private key (PEM)"],
    [pem("PRIVATE KEY").replaceAll("\n", "\r\n"), "key", "private key (PEM)"],
    [pem("PUBLIC KEY"), "key", "public key (PEM)"],
    [`ssh-ed25519 ${letters(68)} me@example.test`, "key", "SSH public key"],
    [certificate, "certificate", "certificate (PEM)"],
    [certificate + certificate, "certificate", "2 certificates (PEM)"],
    [pem("PRIVATE KEY") + certificate, "certificate", "certificate and private key (PEM)"],
    ['{"type": "service_account", "private_key": "x"}', "json", "JSON, key of a service account"],
    ['{"a": 1}', "json", "JSON object"],
    ["[1]", "json", "JSON array"],
    ["{not json", "text", "text"],
    ["postgres://user:hush@db.example/app", "url", "address with a password"],
    ["https://hooks.example/services/x", "url", "address"],
    ["correct horse battery staple", "text", "text"],
    ["hunter2", "text", "text"],
    [" \n", "text", "white space"]
  ] as const) {
    it(`is ${kind}, ${what}, for ${JSON.stringify(value.slice(0, 24))}`, () => {
      const form = formOf(value)
      assert.deepStrictEqual([form.kind, form.what], [kind, what])
    })
  }

  it("has the end of a certificate and of a token that states one, and of nothing else", () => {
    const end = (value: string) => formOf(value).validUntil?.millis
    assert.strictEqual(end(certificate), Date.parse("2036-11-27T04:48:55Z"))
    assert.strictEqual(end(pem("PRIVATE KEY") + certificate), Date.parse("2036-11-27T04:48:55Z"))
    assert.strictEqual(end(jwt), 1_800_000_000_000)
    for (const exp of [1e300, -1, "soon", null]) {
      assert.isUndefined(end(`eyJ${letters(20)}.${base64({ iss: "someone", exp })}.${letters(43)}`))
    }
    assert.isUndefined(end(pem("CERTIFICATE")))
    assert.isUndefined(end(letters(40)))
  })

  it("has the length in bytes, the lines and the white space at the end", () => {
    const outside = (value: string) => {
      const { ending, length, lines } = formOf(value)
      return [length, lines, ending]
    }
    assert.deepStrictEqual(outside("schlüssel"), [10, 1, "none"])
    assert.deepStrictEqual(outside("a\n"), [2, 1, "line feed"])
    assert.deepStrictEqual(outside("a\nb"), [3, 2, "none"])
    assert.deepStrictEqual(outside("a\r"), [2, 1, "carriage return"])
    assert.deepStrictEqual(outside("a\r\n"), [3, 1, "carriage return"])
    assert.deepStrictEqual(outside("a "), [2, 1, "blank"])
  })
})
