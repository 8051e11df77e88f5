/**
 * A timestamp, with the RFC 3339 text it was parsed from or is written as. Comparisons use
 * milliseconds; the text keeps the nanoseconds and the offset, so that a file is rewritten
 * with unchanged timestamps. New timestamps are formatted in the local zone. Source:
 * protocol specification, section 6.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import { millisecond, second } from "./GoDuration.ts"
import { memoize } from "./memoize.ts"

export interface Timestamp {
  /** Milliseconds since 1970, UTC, rounded down. */
  readonly millis: number
  /** RFC 3339, up to nine fraction digits. */
  readonly text: string
}

/** Go's zero time, which the predecessor writes for "never". */
export const zeroTimestamp: Timestamp = { millis: -62_135_596_800_000, text: "0001-01-01T00:00:00Z" }

/** Formats milliseconds since 1970 in the local zone. Memoized: leases made at once share their timestamps. */
export const fromMillis = memoize(16, (millis: number): Timestamp => {
  const ofSecond = ((millis % 1000) + 1000) % 1000
  return withFraction(millis, String(ofSecond).padStart(3, "0"))
})

/** Formats nanoseconds since 1970 in the local zone. */
export const fromNanos = (nanos: bigint): Timestamp => {
  if (nanos % millisecond === 0n) return fromMillis(Number(nanos / millisecond))
  const ofSecond = ((nanos % second) + second) % second
  const millis = Number((nanos - (ofSecond % millisecond)) / millisecond)
  return withFraction(millis, String(ofSecond).padStart(9, "0"))
}

/** Returns the timestamp of these milliseconds, with the digits of its fraction of a second. */
const withFraction = (millis: number, fraction: string): Timestamp => {
  const offset = offsetAt(millis)
  const seconds = textOfSecond(Math.floor((millis + offset) / 1000))
  return { millis, text: seconds + shortFraction(fraction) + formatOffset(offset) }
}

/** Returns the moment of a local date and time, `2026-11-22T00:30:37`; none if it does not exist. */
export const fromLocal = (text: string): Option.Option<Timestamp> =>
  Option.map(secondOf(`${text}Z`), (asUtc) => fromMillis(asUtc - offsetAt(asUtc - offsetAt(asUtc))))

const memoizedSeconds = 100
const secondLength = "2026-11-22T00:30:37".length

const textOfSecond = memoize(memoizedSeconds, (seconds: number): string =>
  DateTime.formatIso(DateTime.makeUnsafe(seconds * 1000)).slice(0, secondLength)
)

/** Parses RFC 3339 as leniently as the predecessor: a decimal comma and a one-digit hour are accepted. */
export const parseTimestamp = (text: string): Option.Option<Timestamp> => {
  const parts = pattern.exec(text)
  if (parts === null) return Option.none()
  const [, date, hour = "", rest, fraction = "", zone = ""] = parts
  const toSecond = `${date}T${hour.padStart(2, "0")}${rest}`
  return Option.map(secondOf(toSecond + zone), (wholeMillis) => ({
    millis: wholeMillis + Number(fraction.padEnd(3, "0").slice(0, 3)),
    text: toSecond + shortFraction(fraction.slice(0, 9)) + zone.replace(/^[+-]00:00$/, "Z")
  }))
}

/** Returns milliseconds since 1970; none for a date that does not exist. Many leases of a file share their seconds. */
const secondOf = memoize(memoizedSeconds, (text: string): Option.Option<number> => {
  const toSecond = text.slice(0, secondLength)
  const inUtc = DateTime.make(`${toSecond}Z`)
  // DateTime accepts 30 February as a day in March.
  const isThere = Option.isSome(inUtc) && DateTime.formatIso(inUtc.value).startsWith(toSecond)
  return isThere ? Option.map(DateTime.make(text), DateTime.toEpochMillis) : Option.none()
})

/** Removes trailing zeros, and the point if no digit is left. */
const shortFraction = (digits: string): string => {
  const short = digits.replace(/0+$/, "")
  return short === "" ? "" : `.${short}`
}

const pattern = /^(\d{4}-\d\d-\d\d)T(\d{1,2})(:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/

/** Zones change their offset only at quarter hours, so one look-up serves a whole quarter. */
const quarterHour = 15 * 60_000

const offsetAt = (millis: number): number => offsetOf(Math.floor(millis / quarterHour))

const offsetOf = memoize(200, (quarter: number): number => {
  // DateTime uses Intl, whose first call delays the start of the daemon.
  // oxlint-disable-next-line no-restricted-globals -- reads the zone, not the clock
  return -new Date(quarter * quarterHour).getTimezoneOffset() * 60_000
})

const formatOffset = (offset: number): string => {
  if (offset === 0) return "Z"
  const minutes = Math.abs(offset) / 60_000
  return `${offset < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`
}

const two = (n: number): string => String(Math.floor(n)).padStart(2, "0")
