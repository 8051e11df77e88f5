/**
 * Bounds the garbage that has grown old in the engine: V8 lets the heap come to four
 * times of what lives before it collects, and so a daemon that has granted a million
 * leases was half as large again as after ten thousand.
 *
 * It is set from within, once the start is over: V8 takes no compiled code that was made
 * under another value of it, so on the command line it would cost half of each start.
 * V8 reads it after each collection; one that does not know it says so and goes on.
 */
import * as Effect from "effect/Effect"

/** Percent by which the old part of the heap may grow after a collection until the next. */
const growth = 30

/** What is loaded soon after the start still comes compiled. */
const startIsOver = "1 second"

export const boundGarbage = Effect.sleep(startIsOver).pipe(
  Effect.andThen(
    Effect.sync(() => {
      // The binary's engine is another one, and collects as it does.
      if (process.versions["bun"] !== undefined) return
      process.getBuiltinModule("node:v8").setFlagsFromString(`--heap-growing-percent=${growth}`)
    })
  )
)
