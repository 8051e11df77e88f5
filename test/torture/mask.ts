/**
 * Masks output full of values in every encoding. The result must equal that of a plain search,
 * however the output is split.
 *
 * The values consist of few letters and repeat themselves, so that they overlap; short and long
 * ones are mixed.
 */
import { maskPrefixLength, makeMaskers } from "../../src/domain/Masker.ts"
import { encodedVariants } from "../../src/domain/variants.ts"
import type { Row, Scenario } from "./Scenario.ts"
import type { Random } from "../support/random.ts"

export const scenario: Scenario = {
  promise: "every encoding of a value is masked and nothing else, however the output is split",
  rounds: 20_000,
  run: ({ rounds, random, log }) => Promise.resolve([maskRounds(rounds, random, log), speed(random)])
}

/** Runs so many outputs and counts those that were masked wrongly. */
export const maskRounds = (rounds: number, random: Random, log: (line: string) => void): Row => {
  let [failed, bytes] = [0, 0]
  for (let round = 0; round < rounds; round += 1) {
    const values = Array.from({ length: 1 + random.below(3) }, () => valueFrom(random))
    const forms = values.flatMap(encodedVariants)
    const output = outputFrom(forms, random)
    bytes += output.length
    const isSameLength = random.below(2) === 0
    const expected = plainly(forms, output, isSameLength)
    const makeMasker = makeMaskers(forms, { sameLength: isSameLength })
    for (const pieces of [[output], split(output, random), [...output].map((byte) => Buffer.from([byte]))]) {
      const masker = makeMasker()
      const given = Buffer.concat([...pieces.map((piece) => masker.push(piece)), masker.end()])
      if (given.equals(expected)) continue
      failed += 1
      if (failed <= 5) log(`${JSON.stringify(values)} in ${JSON.stringify(output.toString())}: ${given.toString()}`)
    }
  }
  return { what: "outputs, each split in three ways", tried: rounds, failed, stats: `${(bytes / 1e6).toFixed(1)} MB` }
}

const alphabets = ["ab", "abc\n", "xyz&<'\"\\%+/ ", "äöé€😀-"] as const

const valueFrom = (random: Random): string => {
  const letters = [...random.pick(alphabets)]
  const word = Array.from({ length: 1 + random.below(12) }, () => random.pick(letters)).join("")
  const long = random.below(4) === 0 ? maskPrefixLength + random.below(100) : 4 + random.below(30)
  return random.below(2) === 0
    ? word.repeat(Math.ceil(long / word.length))
    : Array.from({ length: long }, () => random.pick(letters)).join("")
}

/** Returns encoded values, prefixes and suffixes of them, and other text. */
const outputFrom = (forms: ReadonlyArray<Buffer>, random: Random): Buffer => {
  const pieces = Array.from({ length: 1 + random.below(12) }, () => {
    const form = forms.length === 0 ? Buffer.from("aa") : random.pick(forms)
    switch (random.below(4)) {
      case 0:
        return form.subarray(0, random.below(form.length))
      case 1:
        return form.subarray(random.below(form.length))
      case 2:
        return Buffer.from(random.pick(["ab", "log line\n", "\u001b[31m", "é", ""]))
      default:
        return form
    }
  })
  return Buffer.concat(pieces)
}

const split = (output: Buffer, random: Random): ReadonlyArray<Buffer> => {
  const pieces: Array<Buffer> = []
  for (let at = 0; at < output.length;) {
    const length = 1 + random.below(random.pick([2, 10, 100]))
    pieces.push(output.subarray(at, at + length))
    at += length
  }
  return pieces
}

/** Masks by searching for every encoded value from every position. */
const plainly = (forms: ReadonlyArray<Buffer>, output: Buffer, isSameLength: boolean): Buffer => {
  const isMasked = new Uint8Array(output.length)
  for (const form of forms) {
    const prefix = form.subarray(0, maskPrefixLength)
    for (let from = output.indexOf(prefix); from !== -1; from = output.indexOf(prefix, from + 1)) {
      let same = prefix.length
      while (same < form.length && from + same < output.length && output[from + same] === form[same]) same += 1
      isMasked.fill(1, from, from + same)
    }
  }
  const pieces: Array<number> = []
  for (const [at, byte] of output.entries()) {
    if (isMasked[at] === 0) pieces.push(byte)
    else if (isSameLength) pieces.push("*".charCodeAt(0))
    else if (at === 0 || isMasked[at - 1] === 0) pieces.push(...Buffer.from("***"))
  }
  return Buffer.from(pieces)
}

/** Measures ten tokens on log lines, with a token in every fiftieth. */
const speed = (random: Random): Row => {
  const tokens = Array.from({ length: 10 }, () =>
    Array.from({ length: 40 }, () => random.pick([..."abcdefghijkmnpqrstuvwxyz0123456789"])).join("")
  )
  const lines = Array.from(
    { length: 1_000 },
    (_, at) =>
      `2026-11-24T22:00:00Z INFO request ${at} path=/api/v1/users status=200 ${at % 50 === 0 ? random.pick(tokens) : ""}\n`
  )
  const piece = Buffer.from(lines.join("")).subarray(0, 65_536)
  const masker = makeMaskers(tokens.flatMap(encodedVariants))()
  for (let warm = 0; warm < 200; warm += 1) masker.push(piece)
  const begun = process.cpuUsage()
  for (let time = 0; time < 1_000; time += 1) masker.push(piece)
  const perSecond = (1_000 * piece.length) / 1e6 / (process.cpuUsage(begun).user / 1e6)
  return { what: "ten tokens in a log", tried: 1_000, failed: 0, stats: `${perSecond.toFixed(0)} MB/s` }
}
