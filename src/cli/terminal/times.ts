/**
 * Times and ids for people. On a terminal they are short, and times are local; in a pipe and in
 * JSON they stay as the daemon wrote them.
 */
import * as Option from "effect/Option"
import { fromMillis, parseTimestamp, zeroTimestamp } from "../../domain/Timestamp.ts"
import { formatDuration } from "./formatDuration.ts"
import { printsToTerminal } from "./isInteractive.ts"

/** Formats a time of today as `04:45:12`, one of this year as `11-30 04:45`, any other as `2025-11-30`. */
export const shortTime = (time: string, now: number): string =>
  Option.match(parseTimestamp(time), {
    onNone: () => time,
    onSome: ({ millis }) => {
      const [local, today] = [fromMillis(millis).text, fromMillis(now).text]
      if (local.slice(0, 10) === today.slice(0, 10)) return local.slice(11, 19)
      return local.slice(0, 4) === today.slice(0, 4)
        ? `${local.slice(5, 10)} ${local.slice(11, 16)}`
        : local.slice(0, 10)
    }
  })

/** Formats a time for where it is printed. */
export const shownTime = (time: string, now: number, short = printsToTerminal()): string =>
  short ? shortTime(time, now) : time

/** Enough of a random id to name it; `secrets revoke` takes the beginning of one. */
export const shortIdLength = 8

export const shortId = (id: string): string => id.slice(0, shortIdLength)

/** Formats how long ago a time was; `never` for the zero time. */
export const ageOf = (time: string, now: number): string =>
  Option.match(parseTimestamp(time), {
    onNone: () => "?",
    onSome: ({ millis }) => (millis === zeroTimestamp.millis ? "never" : formatDuration(now - millis))
  })

/** Formats how long it is until a time. */
export const timeUntil = (time: string, now: number): string =>
  Option.match(parseTimestamp(time), { onNone: () => "?", onSome: ({ millis }) => formatDuration(millis - now) })
