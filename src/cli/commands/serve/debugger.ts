/**
 * Closes a debugger that was opened while the program started.
 *
 * Until the first statement has run, SIGUSR1 opens one, and it listens for every
 * user of the machine. `node --disable-sigusr1` never opens it: that is how the
 * launchd job, bin/secrets and `npm start` start. For those who do not, this closes
 * it before a secret is read; what was done by it until then cannot be known.
 */
import * as Effect from "effect/Effect"

/**
 * Closes it, whoever is attached, and says so. Takes one turn of the loop.
 *
 * One signal opens it up to three times: Node asks for it by an interrupt, by a task and by waking the loop, and what is
 * closed in between is opened by the next. So this is run three times, with whatever else the start has to do in between.
 */
export const closeDebugger = Effect.gen(function* () {
  if (process.execArgv.includes("--disable-sigusr1")) return
  const inspector = yield* Effect.promise(() => import("node:inspector"))
  yield* Effect.yieldNow
  if (inspector.url() === undefined) return
  inspector.close()
  yield* Effect.logWarning(
    "a debugger was open, as by SIGUSR1 during the start; it is closed. Somebody may have used it: " +
      "start again, with node --disable-sigusr1"
  )
})
