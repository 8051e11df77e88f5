/**
 * The dotenv parser returns whole values or an error that quotes none.
 */
import { assert, describe, it } from "@effect/vitest"
import { parseDotenv } from "../../../../src/cli/commands/add/dotenv.ts"

/** The values of a text without an error. */
const read = (text: string): Readonly<Record<string, string>> => {
  const { entries, errors } = parseDotenv(text)
  assert.deepStrictEqual(errors, [])
  return Object.fromEntries(entries.map(({ name, value }) => [name, value]))
}

describe("the dotenv parser", () => {
  for (const [title, text, expected] of [
    ["reads an empty file", "", {}],
    ["skips comments", "\n  # a\n#B=1\n \t\n", {}],
    ["reads an unquoted value", "A=1", { A: "1" }],
    ["reads export and blanks around =", "export  A = 1 \n\texport B=2", { A: "1", B: "2" }],
    [
      "keeps # inside a value and removes a comment after a blank",
      "A=a#b # c\nB=# c\nC=x\t#",
      { A: "a#b", B: "", C: "x" }
    ],
    ["keeps text in single quotes as it is", "A='q\"# $x \\n`'", { A: 'q"# $x \\n`' }],
    ["decodes escapes in double quotes", String.raw`A="a\n\t\r\"\\\$x\d"`, { A: 'a\n\t\r"\\$x\\d' }],
    [
      "reads quoted values of several lines",
      "A=\"-----BEGIN\nx\n\"\nB='1\n2'\nC=3",
      { A: "-----BEGIN\nx\n", B: "1\n2", C: "3" }
    ],
    ["skips a comment after a closing quote", "A=\"a\" # b\nB='c'", { A: "a", B: "c" }],
    ["reads CRLF line endings and a byte order mark", '\uFEFFA=1\r\nB="2\r\n3"\r\n', { A: "1", B: "2\n3" }],
    ["reads a last line that was cut in its CRLF", "A=1\r\nB='2'\r", { A: "1", B: "2" }],
    ["reads a comment after a blank", "A= #hush\nB=\t#\nC='#hush'", { A: "", B: "", C: "#hush" }],
    ["reads values with = and spaces", "A=a=b==\nB=two words", { A: "a=b==", B: "two words" }],
    [
      "reads names that objects inherit",
      "__proto__=1\nconstructor=2",
      JSON.parse('{"__proto__":"1","constructor":"2"}')
    ]
  ] as const) {
    it(title, () => assert.deepStrictEqual(read(text), expected))
  }

  for (const [title, text, line, reason] of [
    ["a missing =", "A=1\nhush", 2, "expected NAME=VALUE"],
    ["a missing name", "=hush", 1, "expected NAME=VALUE"],
    ["a name that begins with a digit", "1A=hush", 1, "expected NAME=VALUE"],
    ["an unterminated quote", 'A=1\n\nB="hush\nC=2', 3, "the value of B has an unterminated quote"],
    ["text after a quote", "A='hu'sh", 1, "the value of A continues after its closing quote"],
    ["a quote in an unquoted value", "A=hu'sh'", 1, /^the value of A has characters that a shell would expand/],
    ["a variable", "A=hush$B", 1, /^the value of A has characters that a shell would expand/],
    ["a command", "A=$(hush)", 1, /^the value of A has characters that a shell would expand/],
    ["a backslash", "A=hu\\sh", 1, /^the value of A has characters that a shell would expand/],
    ["backquotes", "A=`hush`", 1, "the value of A has backquotes"],
    [
      "a value that some read as a comment",
      "A=1\nB=#hush",
      2,
      /^the value of B begins with #; put it in single quotes/
    ],
    ["carriage returns alone", "A=1\r\nB=hush\rC=hush\r", 2, /^a carriage return without a line feed/],
    ["a carriage return in a comment", "# hush\rA=hush\n", 1, /^a carriage return without a line feed/],
    ["a carriage return in a value", "A='hu\rsh'\n", 1, /^a carriage return without a line feed/],
    ["a duplicate name", "A=hush\nA=hush", 2, "A is defined twice"]
  ] as const) {
    it(`rejects ${title}, with the line number and without its text`, () => {
      const [wrong, ...others] = parseDotenv(text).errors
      assert.deepStrictEqual(others, [])
      if (wrong === undefined) return assert.fail("it is accepted")
      assert.strictEqual(wrong.line, line)
      if (typeof reason === "string") assert.strictEqual(wrong.reason, reason)
      else assert.match(wrong.reason, reason)
      assert.notInclude(wrong.reason, "hu")
    })
  }

  it("returns every error, and the entries between them", () => {
    const text = "A=$x\n\nB='\n'\n1=x\nC=1\nD=\"open\nE='a'b\nF=2\n\nC=`\n"
    const { entries, errors } = parseDotenv(text)
    assert.deepStrictEqual(entries, [
      { name: "B", value: "\n" },
      { name: "C", value: "1" },
      { name: "F", value: "2" }
    ])
    assert.deepStrictEqual(
      errors.map(({ line, name }) => [line, name]),
      [
        [1, "A"],
        [5, undefined],
        [7, "D"],
        [8, "E"],
        [11, "C"]
      ]
    )
  })

  it("reads a value of 1 MiB", () => {
    for (const value of ["x".repeat(1024 * 1024), "\\n".repeat(512 * 1024)]) {
      assert.strictEqual(read(`A="${value}"`)["A"], value.replaceAll("\\n", "\n"))
    }
  })
})
