/**
 * How much a day's scans may ask: each list of fingerprints, and each text that is no value.
 *
 * A text that is no value is a guess. What was counted is forgotten at a restart and at
 * midnight, UTC.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { fromMillis } from "../../domain/Timestamp.ts"

/** More than hooks and people need in a day. */
export const scanLimits = { scans: 1000, guesses: 1000 } as const

export class ScanLimit extends Schema.TaggedError<ScanLimit>()("ScanLimit", {
  what: Schema.Literals(["scans", "guesses"])
}) {
  override get message() {
    const what = this.what === "scans" ? "scans" : "texts that are no value"
    return `too many ${what} today: at most ${scanLimits[this.what]} are answered in a day (UTC)`
  }
}

/** Returns the day of now, in UTC. */
export const today = Effect.map(Clock.currentTimeMillis, (now) => fromMillis(now).text.slice(0, "2026-01-01".length))

export class ScanBudget extends Context.Service<
  ScanBudget,
  {
    /** Counts; fails if the day's limit is reached already, or would be passed. */
    readonly spend: (what: ScanLimit["what"], count: number) => Effect.Effect<void, ScanLimit>
  }
>()("agent-secrets/ScanBudget") {
  static readonly layer = Layer.sync(ScanBudget, () => {
    let day = ""
    let spent = { scans: 0, guesses: 0 }
    return {
      spend: Effect.fnUntraced(function* (what: ScanLimit["what"], count: number) {
        const now = yield* today
        if (now !== day) spent = { scans: 0, guesses: 0 }
        day = now
        if (spent[what] + count > scanLimits[what]) {
          // What would pass the limit uses it up, so that no sequence of smaller steps gets more.
          spent[what] = scanLimits[what]
          return yield* new ScanLimit({ what })
        }
        spent[what] += count
      })
    }
  })
}
