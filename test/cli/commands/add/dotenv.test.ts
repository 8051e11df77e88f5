/**
 * A dotenv file gives whole values or is refused, and no complaint has a value in it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { parseDotenv } from "../../../../src/cli/commands/add/dotenv.ts"

const read = (text: string) =>
  Result.map(parseDotenv(text), (entries) => Object.fromEntries(entries.map(({ name, value }) => [name, value])))

describe("a dotenv file", () => {
  for (const [title, text, expected] of [
    ["is nothing when it is empty", "", {}],
    ["is nothing when it has comments alone", "\n  # a\n#B=1\n \t\n", {}],
    ["gives a bare value", "A=1", { A: "1" }],
    ["takes export, and blanks around the sign", "export  A = 1 \n\texport B=2", { A: "1", B: "2" }],
    ["keeps a # within a value, and drops one behind a blank", "A=a#b # c\nB=# c\nC=x\t#", { A: "a#b", B: "", C: "x" }],
    ["keeps what stands in single quotes", "A='q\"# $x \\n`'", { A: 'q"# $x \\n`' }],
    ["knows the escapes of double quotes", String.raw`A="a\n\t\r\"\\\$x\d"`, { A: 'a\n\t\r"\\$x\\d' }],
    ["goes over lines in quotes", "A=\"-----BEGIN\nx\n\"\nB='1\n2'\nC=3", { A: "-----BEGIN\nx\n", B: "1\n2", C: "3" }],
    ["takes a comment behind a closing quote", "A=\"a\" # b\nB='c'", { A: "a", B: "c" }],
    ["may have line ends of Windows and a byte order mark", '\uFEFFA=1\r\nB="2\r\n3"\r\n', { A: "1", B: "2\n3" }],
    ["has values with equals signs and spaces", "A=a=b==\nB=two words", { A: "a=b==", B: "two words" }],
    ["may have a name as objects have", "__proto__=1\nconstructor=2", JSON.parse('{"__proto__":"1","constructor":"2"}')]
  ] as const) {
    it(title, () => assert.deepStrictEqual(read(text), Result.succeed(expected)))
  }

  for (const [title, text, line, reason] of [
    ["no sign", "A=1\nhush", 2, "there is no NAME=VALUE in it"],
    ["no name", "=hush", 1, "there is no NAME=VALUE in it"],
    ["a name that begins with a digit", "1A=hush", 1, "there is no NAME=VALUE in it"],
    ["a quote that does not end", 'A=1\n\nB="hush\nC=2', 3, "the value of B has a quote that does not end"],
    ["something behind a quote", "A='hu'sh", 1, "the value of A goes on behind its closing quote"],
    ["a quote in a bare value", "A=hu'sh'", 1, /^the value of A has characters that a shell would act on/],
    ["a variable", "A=hush$B", 1, /^the value of A has characters that a shell would act on/],
    ["a command", "A=$(hush)", 1, /^the value of A has characters that a shell would act on/],
    ["a backslash", "A=hu\\sh", 1, /^the value of A has characters that a shell would act on/],
    ["backquotes", "A=`hush`", 1, "the value of A has backquotes"],
    ["a name twice", "A=hush\nA=hush", 2, "A stands in the file twice"]
  ] as const) {
    it(`is refused for ${title}, by the number of the line and without its text`, () => {
      const wrong = Result.getOrThrow(Result.flip(read(text)))
      assert.strictEqual(wrong.line, line)
      if (typeof reason === "string") assert.strictEqual(wrong.reason, reason)
      else assert.match(wrong.reason, reason)
      assert.notInclude(wrong.reason, "hu")
    })
  }

  it("of a value of a mebibyte is read", () => {
    for (const value of ["x".repeat(1024 * 1024), "\\n".repeat(512 * 1024)]) {
      assert.strictEqual(read(`A="${value}"`).pipe(Result.getOrThrow)["A"], value.replaceAll("\\n", "\n"))
    }
  })
})
