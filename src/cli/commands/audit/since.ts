/**
 * Reads --since: a moment in the past, as people write it. That is a duration before now (`2h`,
 * `7d ago`), a date or a time of the local zone (`2026-02-22`, `2026-02-22 08:00`), `today` or
 * `yesterday`, which begin at midnight, or a time as RFC 3339 writes it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { hour, parseSpelledDuration, toMillis } from "../../../domain/GoDuration.ts"
import { fromLocal, fromMillis, parseTimestamp } from "../../../domain/Timestamp.ts"
import { failUsage } from "../../command/CommandError.ts"

/** Returns it as a timestamp; undefined if it is not given. */
export const parseSince = Effect.fnUntraced(function* (given: string | undefined) {
  if (given === undefined) return undefined
  const found = momentOf(given.trim(), yield* Clock.currentTimeMillis)
  if (Option.isSome(found)) return found.value.text
  return yield* failUsage(
    "--since must be a duration or a time",
    "For example: --since 2h, 7d, yesterday or 2026-02-22"
  )
})

const momentOf = (text: string, now: number) => {
  const time = Option.orElse(parseTimestamp(text), () => localTime(text, now))
  if (Option.isSome(time)) return time
  const ago = Result.getOrElse(parseSpelledDuration(text.replace(/ +ago$/, "")), () => -1n)
  return ago < 0n ? Option.none() : Option.some(fromMillis(now - toMillis(ago)))
}

const localTime = (text: string, now: number) => {
  if (text === "today") return midnightOf(now)
  // Twelve hours before midnight are in the day before, also where the clock is set.
  if (text === "yesterday") return Option.flatMap(midnightOf(now), ({ millis }) => midnightOf(millis - halfDay))
  const [, date, time = "00:00", seconds = ":00"] = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?)?$/.exec(text) ?? []
  return date === undefined ? Option.none() : fromLocal(`${date}T${time}${seconds}`)
}

const halfDay = toMillis(12n * hour)
const midnightOf = (millis: number) => fromLocal(`${fromMillis(millis).text.slice(0, "2026-02-22".length)}T00:00:00`)
