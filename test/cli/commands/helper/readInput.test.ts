/**
 * What a helper reads of its standard input: one request, and never more than the limit.
 */
import { assert, describe, it } from "@effect/vitest"
import { PassThrough } from "node:stream"
import { inputReader } from "../../../../src/cli/commands/helper/readInput.ts"

const limit = 1024 * 1024
const lineEnd = (text: string) => (text.includes("\n") ? text.indexOf("\n") + 1 : undefined)

describe("standard input of a helper", () => {
  it("is read line by line, and what is after a line is kept", async () => {
    const stream = new PassThrough()
    const read = inputReader(stream)
    stream.write("one\ntwo\nth")
    assert.deepStrictEqual(await read(lineEnd), { text: "one\n", ended: false })
    assert.deepStrictEqual(await read(lineEnd), { text: "two\n", ended: false })
    stream.end("ree")
    assert.deepStrictEqual(await read(lineEnd), { text: "three", ended: true })
  })

  it("is not read further where a request is too long", async () => {
    const stream = new PassThrough()
    const read = inputReader(stream)
    stream.write("x".repeat(limit + 1))
    assert.isUndefined(await read(lineEnd))
    assert.isTrue(stream.isPaused())
  })

  it("waits above the limit until the next request", async () => {
    const stream = new PassThrough()
    const read = inputReader(stream)
    stream.write(`one\n${"x".repeat(limit)}\n`)
    assert.strictEqual((await read(lineEnd))?.text, "one\n")
    assert.isTrue(stream.isPaused())
    assert.strictEqual((await read(lineEnd))?.text.length, limit + 1)
    stream.write("two\n")
    assert.strictEqual((await read(lineEnd))?.text, "two\n")
  })
})
