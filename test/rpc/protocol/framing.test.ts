/**
 * The same bytes give the same lines, however they are split: within a character, between
 * carriage return and line feed, or within a long line. A line that is too long is
 * reported once, and the lines after it are whole.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { Frame } from "../../../src/rpc/protocol/framing.ts"
import { LineSplitter } from "../../../src/rpc/protocol/framing.ts"

const limit = 12
const tooLong: Frame = { tooLong: true }
const notUtf8: Frame = { notUtf8: true }

/** The frames that are complete with these bytes. */
const push = (splitter: LineSplitter, bytes: Uint8Array): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  splitter.push(bytes)
  for (let frame = splitter.next(); frame !== undefined; frame = splitter.next()) frames.push(frame)
  return frames
}

/** All frames of bytes that arrive in these pieces and then end. */
const framesOf = (pieces: Iterable<Uint8Array>): ReadonlyArray<Frame> => {
  const splitter = new LineSplitter(limit)
  const frames = [...pieces].flatMap((piece) => push(splitter, piece))
  const last = splitter.end()
  return last === undefined ? frames : [...frames, last]
}
const framesOfText = (text: string) => framesOf([Buffer.from(text)])

/** The same, the naive way. */
const expected = (bytes: Buffer): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  for (let rest = bytes; rest.length > 0;) {
    const lineFeed = rest.indexOf("\n")
    const line = rest.subarray(0, lineFeed < 0 ? rest.length : lineFeed)
    const text = line.toString()
    if (line.length > limit) frames.push(tooLong)
    else frames.push(Buffer.from(text).equals(line) ? { line: text.replace(/\r$/, "") } : notUtf8)
    rest = rest.subarray(line.length + 1)
  }
  return frames
}

describe("LineSplitter", () => {
  it.each<readonly [text: string, frames: ReadonlyArray<Frame>]>([
    ["", []],
    ["one\n", [{ line: "one" }]],
    ["one\ntwo\n", [{ line: "one" }, { line: "two" }]],
    ["\n\n", [{ line: "" }, { line: "" }]],
    ["one\r\n", [{ line: "one" }]],
    ["one\r\r\n", [{ line: "one\r" }]],
    ["o\rne\n", [{ line: "o\rne" }]],
    ["\r\n", [{ line: "" }]],
    ["世界😀\n", [{ line: "世界😀" }]],
    ["one\nrest", [{ line: "one" }, { line: "rest" }]],
    ["rest\r", [{ line: "rest" }]],
    ["\r", [{ line: "" }]]
  ])("reads %j", (text, frames) => {
    assert.deepStrictEqual(framesOfText(text), frames)
  })

  it.each<readonly [what: string, text: string, frames: ReadonlyArray<Frame>]>([
    [
      "accepts a line as long as the limit",
      `${"x".repeat(limit)}\nok\n`,
      [{ line: "x".repeat(limit) }, { line: "ok" }]
    ],
    ["rejects a line one byte longer", `${"x".repeat(limit + 1)}\nok\n`, [tooLong, { line: "ok" }]],
    ["counts bytes, not characters", `${"é".repeat(limit / 2)}é\nok\n`, [tooLong, { line: "ok" }]],
    ["counts the carriage return", `${"x".repeat(limit)}\r\nok\n`, [tooLong, { line: "ok" }]],
    ["reports a very long line once", `${"x".repeat(limit * 20)}\nok\n`, [tooLong, { line: "ok" }]],
    ["reports each of two long lines", `${"x".repeat(13)}\n${"y".repeat(13)}\n`, [tooLong, tooLong]],
    ["discards a long line that has no end", "x".repeat(limit + 1), [tooLong]],
    ["accepts an empty line after a long one", `${"x".repeat(13)}\n\n`, [tooLong, { line: "" }]]
  ])("%s", (_, text, frames) => {
    assert.deepStrictEqual(framesOfText(text), frames)
    assert.deepStrictEqual(framesOf([...Buffer.from(text)].map((byte) => Uint8Array.of(byte))), frames)
  })

  it("returns a line as soon as its line feed arrives, and no sooner", () => {
    const splitter = new LineSplitter(limit)
    assert.deepStrictEqual(push(splitter, Buffer.from("on")), [])
    assert.deepStrictEqual(push(splitter, Buffer.from("e")), [])
    assert.deepStrictEqual(push(splitter, Buffer.from("\ntw")), [{ line: "one" }])
    assert.deepStrictEqual(push(splitter, Buffer.from("o\n")), [{ line: "two" }])
    assert.isUndefined(splitter.end())
  })

  it("reports a long line as soon as it is too long, without waiting for its end", () => {
    const splitter = new LineSplitter(limit)
    assert.deepStrictEqual(push(splitter, Buffer.from("x".repeat(limit))), [])
    assert.deepStrictEqual(push(splitter, Buffer.from("x")), [tooLong])
    assert.deepStrictEqual(push(splitter, Buffer.from("x".repeat(limit * 3))), [])
    assert.deepStrictEqual(push(splitter, Buffer.from("x\nok\n")), [{ line: "ok" }])
  })

  it.each<readonly [what: string, bytes: ReadonlyArray<number>]>([
    ["an invalid byte", [0x61, 0xff, 0x62]],
    ["a truncated character", [0x61, 0xe4, 0xb8]],
    ["an overlong encoding", [0xc0, 0xaf]],
    ["half of a surrogate pair", [0xed, 0xa0, 0x80]],
    ["a code point beyond Unicode", [0xf4, 0x90, 0x80, 0x80]]
  ])("rejects %s, and reads the next line", (_, bytes) => {
    const text = Uint8Array.from([...bytes, 0x0a, 0x61, 0x0a])
    assert.deepStrictEqual(framesOf([text]), [notUtf8, { line: "a" }])
    assert.deepStrictEqual(framesOf([...text].map((byte) => Uint8Array.of(byte))), [notUtf8, { line: "a" }])
    assert.deepStrictEqual(framesOf([Uint8Array.from(bytes)]), [notUtf8])
  })

  it("holds little more than the bytes of the unfinished line, and nothing between lines", () => {
    const splitter = new LineSplitter(1024 * 1024)
    for (let length = 1; length <= 100_000; length += 1) {
      push(splitter, Uint8Array.of(0x61))
      if (length % 1_000 === 0) assert.isAtMost(splitter.held, 2 * length)
    }
    assert.strictEqual(splitter.unfinished, 100_000)
    assert.deepStrictEqual(push(splitter, Uint8Array.of(0x0a)), [{ line: "a".repeat(100_000) }])
    assert.deepStrictEqual([splitter.held, splitter.unfinished], [0, 0])
    push(splitter, Buffer.alloc(1024 * 1024 + 1, "a"))
    assert.deepStrictEqual([splitter.held, splitter.unfinished], [0, 1024 * 1024 + 1])
  })

  it("holds the bytes it was given until their last line is read", () => {
    const splitter = new LineSplitter(limit)
    splitter.push(Buffer.from("a\nb\nc"))
    assert.deepStrictEqual(splitter.next(), { line: "a" })
    assert.strictEqual(splitter.held, 5)
    assert.deepStrictEqual(splitter.next(), { line: "b" })
    assert.isUndefined(splitter.next())
    assert.isAtMost(splitter.held, limit)
  })

  it("reads the same lines wherever the bytes are cut in two", () => {
    const bytes = Buffer.from(`é1\r\n世\n\n${"x".repeat(13)}\r\n😀\r\nrest`)
    const frames: ReadonlyArray<Frame> = [
      { line: "é1" },
      { line: "世" },
      { line: "" },
      tooLong,
      { line: "😀" },
      { line: "rest" }
    ]
    for (let at = 0; at <= bytes.length; at += 1) {
      assert.deepStrictEqual(framesOf([bytes.subarray(0, at), bytes.subarray(at)]), frames, `cut at ${at}`)
    }
  })

  const Text = Schema.Array(Schema.Literals(["\n", "\n", "\r", "\r\n", "a", "é", "世", "😀", "\ufeff", "xxxxxxxxxxx"]))
  const Cuts = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })))

  const Byte = Schema.Literals([0x0a, 0x0d, 0x61, 0xc3, 0xa9, 0xe4, 0xb8, 0x96, 0xf0, 0x9f, 0x98, 0x80, 0xff, 0xed])
  const Bytes = Schema.Array(Byte).check(Schema.isMaxLength(60))

  it.prop(
    "reads the same lines however the bytes are split",
    [Text.check(Schema.isMaxLength(40)), Bytes, Cuts],
    ([text, odd, cuts]) => {
      const bytes = Buffer.concat([Buffer.from(text.join("")), Buffer.from(odd)])
      const pieces: Array<Uint8Array> = []
      let at = 0
      for (const length of cuts) {
        pieces.push(bytes.subarray(at, at + length))
        at += length
      }
      pieces.push(bytes.subarray(at))
      assert.deepStrictEqual(framesOf(pieces), expected(bytes))
    },
    { arbitrary: { runs: 300 } }
  )
})
