/**
 * Durations as Go's time package parses and formats them: `1h30m`, `1h30m0s`. The unit is
 * the nanosecond, as a bigint: the grammar reaches ±2⁶³ ns, which a double cannot represent.
 * The grammar, the format and the error texts are the predecessor's (protocol specification,
 * section 5).
 */
import * as Result from "effect/Result"
import { memoize } from "./memoize.ts"
import { inGoUnits } from "./spelledDuration.ts"

/** Nanoseconds; may be negative. */
export type GoDuration = bigint

export const millisecond: GoDuration = 1_000_000n
export const second: GoDuration = 1_000n * millisecond
export const minute: GoDuration = 60n * second
export const hour: GoDuration = 60n * minute

const units: ReadonlyMap<string, bigint> = new Map([
  ["ns", 1n],
  ["us", 1_000n],
  ["\u00b5s", 1_000n],
  ["\u03bcs", 1_000n],
  ["ms", millisecond],
  ["s", second],
  ["m", minute],
  ["h", hour]
])

const patternOf = (names: ReadonlyArray<string>): string =>
  String.raw`^\+?(?=.*[1-9])(([0-9]+\.?[0-9]*|\.[0-9]+)(${names.join("|")}))+$`
/** Matches positive durations of config.json, for JSON Schema. Only the parser checks the range. */
export const durationPattern = patternOf([...units.keys()])
/** Matches those of files that the predecessor does not read. */
export const spelledPattern = patternOf([...units.keys(), "d", "w"])

const limit = 2n ** 63n
/** The digits of the limit. Longer numbers exceed it, so they are rejected without being parsed. */
const maxDigits = 19
/** Callers ask for the same few TTLs. */
const memoizedDurations = 100

/** Parses a duration; the failure is Go's message, `time: …`. */
export const parseDuration = memoize(memoizedDurations, (text: string): Result.Result<GoDuration, string> => {
  const invalid = Result.fail(`time: invalid duration ${quote(text)}`)
  const negative = text.startsWith("-")
  let rest = negative || text.startsWith("+") ? text.slice(1) : text
  if (rest === "0") return Result.succeed(0n)
  if (rest === "") return invalid

  let total = 0n
  while (rest !== "") {
    const number = /^([0-9]*)(?:\.([0-9]*))?/.exec(rest)
    const whole = number?.[1] ?? ""
    const fraction = number?.[2] ?? ""
    if ((whole === "" && fraction === "") || whole.replace(/^0+/, "").length > maxDigits) return invalid
    rest = rest.slice(number?.[0].length ?? 0)

    const unitText = /^[^0-9.]*/.exec(rest)?.[0] ?? ""
    if (unitText === "") return Result.fail(`time: missing unit in duration ${quote(text)}`)
    const unit = units.get(unitText)
    if (unit === undefined) return Result.fail(`time: unknown unit ${quote(unitText)} in duration ${quote(text)}`)
    rest = rest.slice(unitText.length)

    total += BigInt(whole || "0") * unit + fractionOf(fraction, unit)
    if (total > limit) return invalid
  }
  if (!negative && total === limit) return invalid
  return Result.succeed(negative ? -total : total)
})

/** Parses a duration of a flag or a file, where days and weeks are understood too. */
export const parseSpelledDuration = (text: string): Result.Result<GoDuration, string> => parseDuration(inGoUnits(text))

/** Returns whether a text is a positive duration. */
export const isTtl = (text: string): boolean => Result.getOrElse(parseSpelledDuration(text), () => 0n) > 0n

/**
 * Computes a fraction of a unit through a double, as Go does: `0.333333333333333333333h` is exactly 20 minutes. Digits
 * beyond 64 bits are ignored.
 */
const fractionOf = (digits: string, unit: bigint): bigint => {
  const whole = digits.slice(0, maxDigits)
  const kept = BigInt(whole || "0") >= limit ? whole.slice(0, -1) : whole
  return BigInt(Math.trunc(Number(kept || "0") * (Number(unit) / 10 ** kept.length)))
}

/** Formats a duration: one unit below a second, otherwise hours, minutes and seconds without leading zero units. */
export const formatGoDuration = memoize(memoizedDurations, (duration: GoDuration): string => {
  if (duration === 0n) return "0s"
  const sign = duration < 0n ? "-" : ""
  const nanos = duration < 0n ? -duration : duration
  if (nanos < 1_000n) return `${sign}${nanos}ns`
  if (nanos < millisecond) return `${sign}${decimal(nanos, 1_000n)}\u00b5s`
  if (nanos < second) return `${sign}${decimal(nanos, millisecond)}ms`
  const hours = nanos / hour
  const minutes = (nanos % hour) / minute
  const seconds = `${decimal(nanos % minute, second)}s`
  if (hours > 0n) return `${sign}${hours}h${minutes}m${seconds}`
  return minutes > 0n ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`
})

/** Rounds down to milliseconds: a lease never outlives its grant. */
export const toMillis = (duration: GoDuration): number => Number(duration / millisecond)

const decimal = (value: bigint, unit: bigint): string => {
  const digits = String(value % unit).padStart(String(unit).length - 1, "0")
  return `${value / unit}.${digits}`.replace(/\.?0+$/, "")
}

/** Quotes byte by byte, as Go's time package does; names in other messages are quoted by `goText`. */
const quote = (text: string): string => {
  let out = ""
  for (const byte of new TextEncoder().encode(text)) {
    if (byte === 0x22 || byte === 0x5c) out += `\\${String.fromCharCode(byte)}`
    else if (byte < 0x20 || byte >= 0x80) out += `\\x${byte.toString(16).padStart(2, "0")}`
    else out += String.fromCharCode(byte)
  }
  return `"${out}"`
}

/** Formats a duration without zero units: "1h", not "1h0m0s". */
export const durationText = (duration: GoDuration): string => withoutZeroUnits(formatGoDuration(duration))

export const withoutZeroUnits = (formatted: string): string => formatted.replaceAll(/(?<=[hm])0[ms]/g, "")
