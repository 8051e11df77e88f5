/**
 * What a person should know although it worked, on standard error.
 *
 * Written at once, and not by way of `process.stderr`: to open that would change
 * the mode of the file that a program run by us shares with us.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"

export const printWarning = (command: string, text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    try {
      fs.writeSync(2, `secrets ${command}: warning: ${text}\n`)
    } catch {
      // Nobody reads it, then.
    }
  })
