/**
 * Reading a secret value from a terminal or a pipe.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { PassThrough } from "node:stream"
import { describeEdges, readText, readValue, valueFromArgs } from "../../../../src/cli/commands/add/readValue.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

const terminal = (keys: string) => {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  const prompt = new PassThrough()
  input.write(keys)
  const shown = () => {
    let text = ""
    // From Node 26 on, one call returns one chunk.
    for (let piece = prompt.read(); piece !== null; piece = prompt.read()) text += String(piece)
    return text
  }
  return { input, prompt, shown }
}

describe("readValue at a terminal", () => {
  it.live("returns the line and echoes only the prompt", () =>
    Effect.gen(function* () {
      const console = terminal("hush hush\r")
      assert.strictEqual(yield* readValue("db", console), "hush hush")
      assert.strictEqual(console.shown(), "Value of 'db' (not shown): \n")
    })
  )

  it.live("rejects several pasted lines", () =>
    Effect.gen(function* () {
      for (const pasted of ["one\rtwo\r", "one\ntwo"]) {
        const failure = yield* Effect.flip(readValue("db", terminal(pasted)))
        assert.strictEqual(failure.message, "a prompt takes one line, and more were entered")
      }
    })
  )

  it.live("supports backspace", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* readValue("db", terminal("abx\u007fc\r")), "abc")
    })
  )

  for (const [key, name] of [
    ["\u0003", "Ctrl-C"],
    ["\u0004", "Ctrl-D"]
  ] as const) {
    it.live(`is canceled by ${name}`, () =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(readValue("db", terminal(key)))
        assert.deepStrictEqual([failure.message, failure.exitStatus], ["cancelled: no value was entered", 130])
      })
    )
  }

  it.live("escapes control characters of the name in the prompt", () =>
    Effect.gen(function* () {
      const console = terminal("x\r")
      yield* readValue("\u001b[2Jdb", console)
      assert.strictEqual(console.shown(), "Value of '\\x1b[2Jdb' (not shown): \n")
    })
  )
})

describe("readValue from a pipe", () => {
  const piped = (bytes: Uint8Array | string) => {
    const input = new PassThrough()
    input.end(bytes)
    return readValue("db", { input, prompt: new PassThrough() })
  }

  for (const [text, value] of [
    ["token", "token"],
    ["token\n", "token"],
    ["token\r\n", "token"],
    [" a \n", " a "],
    ["a\rb\n", "a\rb"],
    ["a\n b \r\n\n", "a\n b \r\n\n"],
    ["-----BEGIN X-----\nx\n-----END X-----\n", "-----BEGIN X-----\nx\n-----END X-----\n"],
    ["a\r\nb\r\n", "a\r\nb\r\n"],
    ["a\n\n", "a\n\n"]
  ] as const) {
    it.live(`returns one line without its end, and several lines whole: ${JSON.stringify(text)}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* piped(text), value)
      })
    )
  }

  it.live("rejects bytes that are not UTF-8", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(piped(Uint8Array.of(0xff)))).message, "the value is not UTF-8 text")
      const wide = yield* Effect.flip(piped(Buffer.from("\ufeffab", "utf16le")))
      assert.strictEqual(wide.message, "the value is UTF-16 or UTF-32, not UTF-8")
    })
  )
})

describe("a value from a file", () => {
  it.live("is kept byte for byte", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "key")
      for (const text of ["-----BEGIN X-----\nx\n-----END X-----\n", "a\r\nb\r\n", "token"]) {
        fs.writeFileSync(file, text)
        const args = { option: (flag: string) => (flag === "file" ? file : undefined), flag: () => false }
        assert.strictEqual(yield* valueFromArgs(args, "key"), text)
      }
    })
  )
})

describe("a value that is missing or not text", () => {
  const argsOf = (given: Readonly<Record<string, string>>) => ({
    option: (flag: string) => given[flag],
    flag: () => false
  })

  it.live("is explained by where it was to come from", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = path.join(directory, "empty")
      fs.writeFileSync(file, "")
      const hintFor = (given: Readonly<Record<string, string>>) =>
        Effect.map(Effect.flip(valueFromArgs(argsOf(given), "key")), ({ fix }) => fix)
      assert.strictEqual(yield* hintFor({ value: "" }), "Leave --value out: the value is then asked for")
      assert.strictEqual(yield* hintFor({ file }), "Name a file that is not empty")
      assert.strictEqual(yield* hintFor({ file: directory }), "It is a directory: name a file. Nothing was changed")
      // As of any other file that a command line names.
      const missing = yield* Effect.flip(valueFromArgs(argsOf({ file: path.join(directory, "none") }), "key"))
      assert.deepInclude(missing, { code: "io_error", exitStatus: 1 })
      assert.strictEqual(yield* hintFor({ file: "-" }), "For standard input name /dev/stdin. Nothing was changed")
    })
  )

  it.live("has a hint for text in another encoding", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, ".env")
      fs.writeFileSync(file, Buffer.from("A=caf\xe9\n", "latin1"))
      assert.strictEqual((yield* Effect.flip(readText(file, "Convert it"))).fix, "Convert it")
    })
  )
})

describe("white space at the ends of a value", () => {
  for (const [value, description] of [
    ["token", undefined],
    ["a b", undefined],
    ["-----BEGIN X-----\nx\n-----END X-----\n", undefined],
    ["a\r\nb\r\n", undefined],
    [" token", "begins with a space"],
    ["token\r", "ends with a carriage return"],
    ["token\u200b", "ends with an invisible character"],
    ["\u00a0token", "begins with white space"],
    ["token\n", "ends with a line feed"],
    ["token\r\n", "ends with a line feed"],
    ["a\nb\n\n", "ends with a line feed"],
    ["\ufefftoken\t", "begins with a byte order mark and ends with a tab"],
    ["\u00a0token", "begins with white space"]
  ] as const) {
    it(`is described: ${JSON.stringify(value)}`, () => assert.strictEqual(describeEdges(value), description))
  }
})
