/**
 * Fuzzes the framing and the decoder in this process. The frames do not depend on how the
 * bytes are split. No input throws, and each frame gives one line of JSON.
 */
import * as Result from "effect/Result"
import type { Frame } from "../../src/rpc/protocol/framing.ts"
import { LineSplitter } from "../../src/rpc/protocol/framing.ts"
import {
  decodeRequest,
  encodeError,
  encodeResult,
  noId,
  notUtf8,
  lineTooLong
} from "../../src/rpc/protocol/Protocol.ts"
import type { Row, Scenario } from "./Scenario.ts"
import type { Random } from "../support/random.ts"

/** Short, so that some lines exceed it. */
const limit = 200

export const scenario: Scenario = {
  promise: "the same frames however the bytes are split, and one line of JSON for each",
  rounds: 1_000_000,
  run: ({ rounds, random, log }) => Promise.resolve([fuzz(rounds, random, log)])
}

/** Runs so many inputs and counts broken promises. */
export const fuzz = (rounds: number, random: Random, log: (line: string) => void): Row => {
  const begun = performance.now()
  const count = { requests: 0, refused: 0, notUtf8: 0, tooLong: 0 }
  let [failed, bytes] = [0, 0]
  for (let round = 0; round < rounds; round += 1) {
    const input = inputFrom(random)
    bytes += input.length
    try {
      const frames = framesOf([input])
      if (JSON.stringify(framesOf(split(input, random))) !== JSON.stringify(frames))
        throw new Error("other frames when split")
      for (const frame of frames) count[check(frame)] += 1
    } catch (error) {
      failed += 1
      if (failed <= 10) log(`${String(error)}: ${JSON.stringify(input.toString("latin1"))}`)
    }
    if (round % 250_000 === 249_999) log(`${round + 1} inputs`)
  }
  const seconds = (performance.now() - begun) / 1_000
  const kinds = Object.entries(count).map(([kind, times]) => `${times} ${kind}`)
  return {
    what: "inputs",
    tried: rounds,
    failed,
    stats: `${kinds.join(", ")}; ${(bytes / 1e6).toFixed(0)} MB in ${seconds.toFixed(0)} s`
  }
}

const framesOf = (pieces: Iterable<Uint8Array>): ReadonlyArray<Frame> => {
  const splitter = new LineSplitter(limit)
  const frames: Array<Frame> = []
  for (const piece of pieces) {
    splitter.push(piece)
    for (let frame = splitter.next(); frame !== undefined; frame = splitter.next()) frames.push(frame)
  }
  const last = splitter.end()
  return last === undefined ? frames : [...frames, last]
}

/** Decodes a frame, encodes a reply, and returns the kind of the frame. */
const check = (frame: Frame): "requests" | "refused" | "notUtf8" | "tooLong" => {
  if ("tooLong" in frame) return (isReply(encodeError(noId, lineTooLong)), "tooLong")
  if ("notUtf8" in frame) return (isReply(encodeError(noId, notUtf8)), "notUtf8")
  const request = decodeRequest(frame.line)
  if (Result.isFailure(request)) {
    isReply(encodeError(noId, request.failure))
    return "refused"
  }
  isReply(encodeResult(request.success.id, { method: request.success.method, params: request.success.params }))
  return "requests"
}

const isReply = (reply: string): void => {
  if (reply.indexOf("\n") !== reply.length - 1) throw new Error("not one line")
  const { jsonrpc, id } = JSON.parse(reply)
  if (jsonrpc !== "2.0" || id === undefined) throw new Error("not a reply")
}

const split = (bytes: Buffer, random: Random): ReadonlyArray<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + 1 + random.below(random.pick([2, 20, 200])))
    pieces.push(bytes.subarray(at, end))
    at = end
  }
  return pieces
}

const tokens = [
  [...'{}[]:,"\\ \t\r0123456789-+.eE\u00e9\u4e16\u2028\ufeff\u0000<&'],
  ["true", "false", "null", "1e999", "-0", "9007199254740993", "1".repeat(60), '"\\ud800"', '"\\u0000"', '"\\q"'],
  ['"method":', '"METHOD":', '"params":', '"id":', '"jsonrpc":"2.0"', '"__proto__":', '"constructor":', '"":'],
  ['"secrets.lease"', '{"secret_name":"a"}', "[".repeat(30), "]".repeat(30), '{"a":'.repeat(20), '{"id":1,"id":2}'],
  ["\n", "\n", "\r\n", '{"method":"m","id":1}\n', '{"method":"m","params":{"a":[1]},"id":"x"}\n']
]
  .flat()
  .map((word) => Buffer.from(word))

/** Returns random bytes, random tokens, or a valid request with a few bytes changed. */
const inputFrom = (random: Random): Buffer => {
  const kind = random.below(10)
  if (kind === 0) return Buffer.from(Array.from({ length: random.below(100) }, () => random.below(256)))
  if (kind < 5) return Buffer.concat(Array.from({ length: random.below(25) }, () => random.pick(tokens)))
  const request = {
    jsonrpc: "2.0",
    method: "secrets.lease",
    params: { secret_name: "a\u00e9", ttl: "1h" },
    id: random.below(99)
  }
  const bytes = Buffer.from(`${JSON.stringify(request)}\n`.repeat(1 + random.below(2)))
  for (let changes = random.below(4); changes > 0; changes -= 1) bytes[random.below(bytes.length)] = random.below(256)
  return bytes
}
