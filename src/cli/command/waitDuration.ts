/**
 * A duration for which a command waits, as its flag has it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as GoDuration from "../../domain/GoDuration.ts"
import { failUsage } from "./CommandError.ts"

/** Returns milliseconds. A number without a unit means seconds. */
export const parseWait = Effect.fnUntraced(function* (given: string, example: string, least = 1) {
  const parsed = GoDuration.parseSpelledDuration(/^[\d.]+$/.test(given) ? `${given}s` : given)
  const millis = Result.isFailure(parsed) ? -1 : GoDuration.toMillis(parsed.success)
  if (millis < least) {
    const range = least > 0 ? "a duration above 0" : "a duration, or 0"
    return yield* failUsage(`--wait must be ${range}`, `For example: ${example}`)
  }
  return millis
})
