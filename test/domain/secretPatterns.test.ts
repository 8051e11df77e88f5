/**
 * Tokens, keys and passwords are found by their form, with their type and severity. Code,
 * placeholders and identifiers are not. Searches take linear time.
 */
import { assert, describe, it } from "@effect/vitest"
import { findPatterns } from "../../src/domain/secretPatterns.ts"
import { cpuMillis } from "../support/cpuTime.ts"

/** Concatenated, so that a scan of this file finds nothing. */
const made = (...parts: ReadonlyArray<string>): string => parts.join("")

const letters = "abcdefghijKLMNOPQRST0123456789uvwxyz"
const types = (text: string) => findPatterns(text).map(({ type }) => type)

describe("findPatterns", () => {
  for (const [title, type, severity, text] of [
    ["a GitHub token of each kind", "github_token", "critical", made("gh", "o_", letters)],
    ["a fine-grained GitHub token", "github_token", "critical", made("github", "_pat_", letters, "_", letters)],
    ["an AWS access key id", "aws_access_key_id", "critical", made("AK", "IA", "ABCDEFGHIJ234567")],
    ["an AWS secret", "aws_secret_access_key", "critical", made("aws_secret_access", "_key = ", letters, "+/+A")],
    ["a Stripe live key", "stripe_key", "critical", made("sk_", "live_", letters)],
    ["a Stripe test key", "stripe_key", "medium", made("sk_", "test_", letters)],
    ["a publishable Stripe key", "stripe_key", "high", made("pk_", "live_", letters)],
    ["a publishable Stripe test key", "stripe_key", "low", made("pk_", "test_", letters)],
    ["a private key", "private_key", "critical", made("-----BEGIN ", "OPENSSH PRIVATE KEY-----")],
    ["a private key without an algorithm", "private_key", "critical", made("-----BEGIN ", "PRIVATE KEY-----")],
    ["a JSON Web Token", "jwt", "high", made("eyJ", letters, ".eyJ", letters, ".", letters)],
    ["an age identity", "age_identity", "critical", made("AGE-SECRET-", "KEY-1", "Q".repeat(58))],
    ["an npm token", "npm_token", "critical", made("npm", "_", letters)],
    ["an api key in JSON", "generic_secret", "medium", made('"apiK', 'ey": "', letters, '"')],
    ["a token in a shell", "generic_secret", "medium", made("export MY_TOK", "EN=", letters)],
    ["a secret in YAML", "generic_secret", "medium", made("client_sec", "ret: ", letters)],
    ["a password in quotes", "password", "medium", made("pass", "word = 'correct horse'".replace(" h", "-h"))],
    ["a password in an env file", "password", "medium", made("DB_PASS", "WORD=hunter2hunter2")],
    ["a password that contains the word", "password", "medium", made("pass", 'word: "MyPassword1"')],
    ["a password in Ruby", "password", "medium", made(":pass", 'word => "tr0ub4dor&3"')]
  ] as const) {
    it(`finds ${title}`, () => {
      const found = findPatterns(`# first\n  ${text}\nlast`)
      assert.deepStrictEqual(
        found.map((match) => [match.type, match.severity]),
        [[type, severity]]
      )
    })
  }

  it("finds the value of an assignment without its name", () => {
    const text = made("x; DB_PASS", "WORD='hunter2hunter2'; y")
    const [match] = findPatterns(text)
    assert.strictEqual(text.slice(match?.start, match?.end), "hunter2hunter2")
  })

  it("finds an assigned token once, as a token", () => {
    assert.deepStrictEqual(types(made("GITHUB_TOK", 'EN="gh', "p_", letters, '"')), ["github_token"])
  })

  it("finds several secrets on a line, in order", () => {
    const text = made("sk_", "live_", letters, " gh", "p_", letters, " npm", "_", letters)
    assert.deepStrictEqual(types(text), ["stripe_key", "github_token", "npm_token"])
  })

  for (const [title, text] of [
    ["a token that is too short", made("gh", "p_0123456789")],
    ["a token within a longer word", made("xAK", "IA", "ABCDEFGHIJ234567 AK", "IA", "ABCDEFGHIJ234567Z")],
    ["a public key", "-----BEGIN PUBLIC KEY-----"],
    ["a function call", "const token = await getAccessTokenOfUser2(client)"],
    ["a property name", "secret: configuration.of2.something.secretValue"],
    ["a type", "password: undefined; readonly password: string"],
    ["a placeholder for a password", 'password = "xxxxxxxxxxxx"; password: "********"; password="${DB_PASSWORD}"'],
    ["a variable", "TOKEN=$SOME_OTHER_TOKEN_VARIABLE_2"],
    ["a longer word that begins like a keyword", 'tokenizer = "abcdefghijklmnop0123456789"'],
    ["an identifier", 'TOKEN_PURPOSE = "identity.token_purpose_of_it"; PASSWORD = "rehash_needed"'],
    ["a sample password", 'password: "my-password"'],
    ["a sentence", 'secret: "this is a sentence about 1 secret"']
  ] as const) {
    it(`does not find ${title}`, () => assert.deepStrictEqual(types(text), []))
  }
})

it("findPatterns runs in linear time on any text", () => {
  for (const piece of [
    "eyJ",
    "eyJaaaaaaaaaaaaaaa.",
    "secret",
    "token_",
    "sk_live_",
    "password=",
    "password   ",
    'secret="aaaaaaaaaa',
    "aws_secret_key="
  ]) {
    const times = 16_384 / piece.length
    const inPieces = cpuMillis(() => {
      for (let n = 0; n < 32; n += 1) findPatterns(piece.repeat(times))
    })
    const inOne = cpuMillis(() => findPatterns(piece.repeat(32 * times)))
    // Backtracking would take many times as long.
    assert.isBelow(inOne, 8 * Math.max(10, inPieces), piece)
  }
})
