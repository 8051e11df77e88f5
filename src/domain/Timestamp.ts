/**
 * A moment, with the text it was read from or is written as.
 *
 * Comparisons use the milliseconds of the wall clock; the text keeps the
 * nanoseconds and the offset of whoever wrote it, so a file that passes through
 * this program comes out with the moments it went in with. New moments are printed
 * as RFC 3339 in the local zone. Source: protocol specification, section 6.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import { memoize } from "./memoize.ts"

export interface Timestamp {
  /** Milliseconds since 1970, UTC; finer digits of the text are cut off. */
  readonly millis: number
  /** RFC 3339, up to nine fraction digits. */
  readonly text: string
}

/** What the predecessor writes where there is no moment. */
export const zeroTimestamp: Timestamp = { millis: -62_135_596_800_000, text: "0001-01-01T00:00:00Z" }

/** The moment `millis` milliseconds after 1970, written in the local zone. */
export const fromMillis = (millis: number): Timestamp => fromNanos(BigInt(millis) * nanosPerMilli)

/** The same, in nanoseconds. Leases of one moment begin and end at the same ones, and share them. */
export const fromNanos = memoize(16, (nanos: bigint): Timestamp => {
  const ofSecond = ((nanos % nanosPerSecond) + nanosPerSecond) % nanosPerSecond
  const millis = Number((nanos - (ofSecond % nanosPerMilli)) / nanosPerMilli)
  const offset = localOffset(millis)
  return {
    millis,
    text:
      textOfSecond(Math.floor((millis + offset) / 1000)) +
      shortFraction(String(ofSecond).padStart(9, "0")) +
      formatOffset(offset)
  }
})

const rememberedSeconds = 100

/** Now, and the ends of the usual TTLs. */
const textOfSecond = memoize(rememberedSeconds, (second: number): string =>
  DateTime.formatIso(DateTime.makeUnsafe(second * 1000)).slice(0, "2026-11-22T00:30:37".length)
)

const nanosPerMilli = 1_000_000n
const nanosPerSecond = 1_000_000_000n

/** Reads RFC 3339 as leniently as the predecessor: a comma as decimal sign and a one-digit hour pass. */
export const parseTimestamp = (text: string): Option.Option<Timestamp> => {
  const parts = pattern.exec(text)
  if (parts === null) return Option.none()
  const [, date, hour = "", rest, fraction = "", zone = ""] = parts
  const toSecond = `${date}T${hour.padStart(2, "0")}${rest}`
  const second = secondOf(toSecond, zone)
  if (second === undefined) return Option.none()
  return Option.some({
    millis: second + Number(fraction.padEnd(3, "0").slice(0, 3)),
    text: toSecond + shortFraction(fraction.slice(0, 9)) + zone.replace(/^[+-]00:00$/, "Z")
  })
}

/** Milliseconds since 1970; undefined where no calendar has such a moment. Many leases of a file share their seconds. */
const secondOf = (toSecond: string, zone: string): number | undefined => {
  const text = toSecond + zone
  if (readSeconds.has(text)) return readSeconds.get(text)
  if (readSeconds.size >= rememberedSeconds) readSeconds.clear()
  const inUtc = DateTime.make(`${toSecond}Z`)
  // What no calendar has, such as 30 February, is read as a day that there is.
  const isThere = Option.isSome(inUtc) && DateTime.formatIso(inUtc.value).startsWith(toSecond)
  const moment = isThere ? DateTime.make(text) : Option.none()
  const second = Option.isSome(moment) ? DateTime.toEpochMillis(moment.value) : undefined
  readSeconds.set(text, second)
  return second
}

const readSeconds = new Map<string, number | undefined>()

/** Without the zeros at its end, and nothing at all where nothing is left. */
const shortFraction = (digits: string): string => {
  const short = digits.replace(/0+$/, "")
  return short === "" ? "" : `.${short}`
}

const pattern = /^(\d{4}-\d\d-\d\d)T(\d{1,2})(:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/

/** Zones change their offset at quarter hours, so one look-up serves all moments within one. */
const quarterHour = 15 * 60_000
/** More than lie between now and the end of the longest usual TTL. */
const rememberedOffsets = 200

const localOffset = (millis: number): number => offsetOf(Math.floor(millis / quarterHour))

const offsetOf = memoize(rememberedOffsets, (quarter: number): number => {
  // DateTime asks Intl, whose first answer takes 10 ms: a sixth of what the daemon may take to start.
  // oxlint-disable-next-line no-restricted-globals -- no moment is read here, only a zone
  return -new Date(quarter * quarterHour).getTimezoneOffset() * 60_000
})

const formatOffset = (offset: number): string => {
  if (offset === 0) return "Z"
  const minutes = Math.abs(offset) / 60_000
  return `${offset < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`
}

const two = (n: number): string => String(Math.floor(n)).padStart(2, "0")
