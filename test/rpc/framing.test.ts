/**
 * The same bytes give the same lines, however they are split: within a character,
 * between carriage return and line feed, within a line that is too long. Such a
 * line is told once, and the lines after it are whole.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { Frame } from "../../src/rpc/framing.ts"
import { LineSplitter } from "../../src/rpc/framing.ts"

const limit = 12
const tooLong: Frame = { tooLong: true }

/** All frames of bytes that arrive in these pieces and then end. */
const framesOf = (pieces: Iterable<Uint8Array>): ReadonlyArray<Frame> => {
  const splitter = new LineSplitter(limit)
  const frames = [...pieces].flatMap((piece) => splitter.push(piece))
  return [...frames, ...splitter.end()]
}
const framesOfText = (text: string) => framesOf([Buffer.from(text)])

/** The same, the naive way. */
const expected = (bytes: Buffer): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  for (let rest = bytes; rest.length > 0;) {
    const lineFeed = rest.indexOf("\n")
    const line = rest.subarray(0, lineFeed < 0 ? rest.length : lineFeed)
    frames.push(line.length > limit ? tooLong : { line: line.toString().replace(/\r$/, "") })
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
    ["takes a line as long as the limit", `${"x".repeat(limit)}\nok\n`, [{ line: "x".repeat(limit) }, { line: "ok" }]],
    ["refuses a line one byte longer", `${"x".repeat(limit + 1)}\nok\n`, [tooLong, { line: "ok" }]],
    ["counts bytes, not characters", `${"é".repeat(limit / 2)}é\nok\n`, [tooLong, { line: "ok" }]],
    ["counts the carriage return", `${"x".repeat(limit)}\r\nok\n`, [tooLong, { line: "ok" }]],
    ["tells a very long line once", `${"x".repeat(limit * 20)}\nok\n`, [tooLong, { line: "ok" }]],
    ["tells each of two long lines", `${"x".repeat(13)}\n${"y".repeat(13)}\n`, [tooLong, tooLong]],
    ["throws away a long line that has no end", "x".repeat(limit + 1), [tooLong]],
    ["takes an empty line behind a long one", `${"x".repeat(13)}\n\n`, [tooLong, { line: "" }]]
  ])("%s", (_, text, frames) => {
    assert.deepStrictEqual(framesOfText(text), frames)
    assert.deepStrictEqual(framesOf([...Buffer.from(text)].map((byte) => Uint8Array.of(byte))), frames)
  })

  it("gives a line as soon as its line feed is there, and no sooner", () => {
    const splitter = new LineSplitter(limit)
    assert.deepStrictEqual(splitter.push(Buffer.from("on")), [])
    assert.deepStrictEqual(splitter.push(Buffer.from("e")), [])
    assert.deepStrictEqual(splitter.push(Buffer.from("\ntw")), [{ line: "one" }])
    assert.deepStrictEqual(splitter.push(Buffer.from("o\n")), [{ line: "two" }])
    assert.deepStrictEqual(splitter.end(), [])
  })

  it("tells of a long line as soon as it is too long, without waiting for its end", () => {
    const splitter = new LineSplitter(limit)
    assert.deepStrictEqual(splitter.push(Buffer.from("x".repeat(limit))), [])
    assert.deepStrictEqual(splitter.push(Buffer.from("x")), [tooLong])
    assert.deepStrictEqual(splitter.push(Buffer.from("x".repeat(limit * 3))), [])
    assert.deepStrictEqual(splitter.push(Buffer.from("x\nok\n")), [{ line: "ok" }])
  })

  it("puts U+FFFD for bytes that are no text", () => {
    assert.deepStrictEqual(framesOf([Uint8Array.of(0x61, 0xff, 0x62, 0x0a)]), [{ line: "a\ufffdb" }])
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

  it.prop(
    "reads the same lines however the bytes are split",
    [Text.check(Schema.isMaxLength(40)), Cuts],
    ([text, cuts]) => {
      const bytes = Buffer.from(text.join(""))
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
