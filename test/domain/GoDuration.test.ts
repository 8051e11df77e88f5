/**
 * Durations are parsed and formatted as by Go's time package, error texts included
 * (protocol specification, section 5). Every int64 survives formatting and parsing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  formatGoDuration,
  hour,
  millisecond,
  minute,
  parseDuration,
  second,
  toMillis
} from "../../src/domain/GoDuration.ts"

const least = -(2n ** 63n)
const most = 2n ** 63n - 1n
const Int64 = Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: least, maximum: most }))
const Places = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 18 }))
const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 }))

const readable: ReadonlyArray<readonly [text: string, nanos: bigint]> = [
  ["0", 0n],
  ["+0", 0n],
  ["-0", 0n],
  ["0s", 0n],
  ["1.5h", 90n * minute],
  ["90m", 90n * minute],
  ["1h30m", 90n * minute],
  ["30m1h", 90n * minute],
  ["1h1h", 2n * hour],
  [".5s", 500n * millisecond],
  ["1.s", second],
  ["+5m", 5n * minute],
  ["-5m", -5n * minute],
  ["7ns", 7n],
  ["1us", 1_000n],
  ["1\u00b5s", 1_000n],
  ["1\u03bcs", 1_000n],
  ["1.000000001s", second + 1n],
  ["0.1ns", 0n],
  ["-0.9ns", 0n],
  ["1.9ns", 1n],
  // Go computes fractions through a double.
  ["0.333333333333333333333h", 20n * minute],
  ["0.9999999999999999999s", second],
  [`0.${"0".repeat(30)}1h`, 0n],
  [`${"0".repeat(30)}1s`, second],
  ["9223372036854775807ns", most],
  ["-9223372036854775808ns", least],
  ["2562047h47m16.854775807s", most]
]

const refused: ReadonlyArray<readonly [text: string, message: string]> = [
  ["", `time: invalid duration ""`],
  ["abc", `time: invalid duration "abc"`],
  [" 1h", `time: invalid duration " 1h"`],
  [".s", `time: invalid duration ".s"`],
  ["-", `time: invalid duration "-"`],
  ["+-5m", `time: invalid duration "+-5m"`],
  ["3000000h", `time: invalid duration "3000000h"`],
  ["9223372036854775808ns", `time: invalid duration "9223372036854775808ns"`],
  ["-9223372036854775809ns", `time: invalid duration "-9223372036854775809ns"`],
  ["99999999999999999999d", `time: invalid duration "99999999999999999999d"`],
  ["5", `time: missing unit in duration "5"`],
  ["00", `time: missing unit in duration "00"`],
  ["0.0", `time: missing unit in duration "0.0"`],
  ["1h5", `time: missing unit in duration "1h5"`],
  ["1.", `time: missing unit in duration "1."`],
  ["1.5.5s", `time: missing unit in duration "1.5.5s"`],
  ["1H", `time: unknown unit "H" in duration "1H"`],
  ["1hour", `time: unknown unit "hour" in duration "1hour"`],
  ["1e3s", `time: unknown unit "e" in duration "1e3s"`],
  ["1h ", `time: unknown unit "h " in duration "1h "`],
  ["1h 30m", `time: unknown unit "h " in duration "1h 30m"`],
  ["1\u00fc", String.raw`time: unknown unit "\xc3\xbc" in duration "1\xc3\xbc"`],
  ['"\\\u0001', String.raw`time: invalid duration "\"\\\x01"`]
]

const printed: ReadonlyArray<readonly [nanos: bigint, text: string]> = [
  [0n, "0s"],
  [1n, "1ns"],
  [999n, "999ns"],
  [1_000n, "1\u00b5s"],
  [1_500n, "1.5\u00b5s"],
  [millisecond - 1n, "999.999\u00b5s"],
  [millisecond, "1ms"],
  [1_500_000n, "1.5ms"],
  [900n * millisecond, "900ms"],
  [second - 1n, "999.999999ms"],
  [second, "1s"],
  [1_500n * millisecond, "1.5s"],
  [minute, "1m0s"],
  [90n * second, "1m30s"],
  [hour, "1h0m0s"],
  [24n * hour, "24h0m0s"],
  [2n * hour + 45n * minute + 30_500n * millisecond, "2h45m30.5s"],
  [24n * hour + 1n, "24h0m0.000000001s"],
  [-hour, "-1h0m0s"],
  [-1_500n, "-1.5\u00b5s"],
  [least, "-2562047h47m16.854775808s"]
]

describe("parseDuration", () => {
  it.each(readable)("parses %s", (text, nanos) => {
    assert.deepStrictEqual(parseDuration(text), Result.succeed(nanos))
  })

  it.each(refused)("rejects %j with Go's message", (text, message) => {
    assert.deepStrictEqual(parseDuration(text), Result.fail(message))
  })

  it("rejects a number with many thousand digits at once", () => {
    const digits = "9".repeat(30_000)
    assert.deepStrictEqual(parseDuration(`0.${digits}s`), Result.succeed(second))
    assert.deepStrictEqual(parseDuration(`${digits}s`), Result.fail(`time: invalid duration "${digits}s"`))
  })

  it("rejects days", () => {
    assert.deepStrictEqual(parseDuration("1d"), Result.fail(`time: unknown unit "d" in duration "1d"`))
  })

  it.prop("adds up terms in any order", [Small, Small, Small], ([hours, minutes, seconds]) => {
    const sum = BigInt(hours) * hour + BigInt(minutes) * minute + BigInt(seconds) * second
    for (const text of [`${hours}h${minutes}m${seconds}s`, `${seconds}s${hours}h${minutes}m`]) {
      assert.deepStrictEqual(parseDuration(text), Result.succeed(sum))
      assert.deepStrictEqual(parseDuration(`-${text}`), Result.succeed(-sum))
    }
  })

  it.prop("returns an int64, or a failure that quotes the text", [Schema.String], ([text]) => {
    const read = parseDuration(text)
    if (Result.isSuccess(read)) assert.isTrue(read.success >= least && read.success <= most)
    else assert.match(read.failure, /^time: (invalid|missing unit in|unknown unit ".*" in) ?duration ".*"$/)
  })
})

describe("formatGoDuration", () => {
  it.each(printed)("formats %d ns as %s", (nanos, text) => {
    assert.strictEqual(formatGoDuration(nanos), text)
  })

  it.prop("formats what parses to the same duration", [Int64], ([nanos]) => {
    assert.deepStrictEqual(parseDuration(formatGoDuration(nanos)), Result.succeed(nanos))
  })

  it.prop(
    "formats what parses to the same duration at every order of magnitude",
    [Int64, Places],
    ([nanos, places]) => {
      const scaled = nanos / 10n ** BigInt(places)
      assert.deepStrictEqual(parseDuration(formatGoDuration(scaled)), Result.succeed(scaled))
    }
  )

  it.prop("formats a negative duration with a leading sign", [Int64], ([nanos]) => {
    const magnitude = nanos < 0n ? -nanos : nanos
    assert.strictEqual(formatGoDuration(-magnitude), magnitude === 0n ? "0s" : `-${formatGoDuration(magnitude)}`)
  })
})

describe("toMillis", () => {
  it.each([
    [hour, 3_600_000],
    [millisecond - 1n, 0],
    [millisecond, 1],
    [2n * millisecond - 1n, 1]
  ] as const)("cuts %d ns off to %d ms", (nanos, millis) => {
    assert.strictEqual(toMillis(nanos), millis)
  })
})
