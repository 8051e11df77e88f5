/**
 * Limits in seconds that hold on a busy machine as well: what takes longer is compared with an
 * undisturbed daemon that starts, answers and stops directly afterwards.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { temporaryHome } from "../support/temporary.ts"
import { answers } from "./connection.ts"
import { launch, untilReady } from "./daemon.ts"

/** So many times as long as an undisturbed daemon; on a calm machine, less than any limit. */
const margin = 8

/** Returns the milliseconds that an undisturbed daemon needs to start, answer and stop. */
const undisturbed = async (): Promise<number> => {
  const home = temporaryHome()
  const begun = performance.now()
  const daemon = launch({ home })
  try {
    await answers((await untilReady(daemon)).socket, 60_000)
    await daemon.end("SIGTERM")
    return performance.now() - begun
  } finally {
    await daemon.end("SIGKILL")
    fs.rmSync(home, { recursive: true, force: true })
  }
}

/** Whether something took at most so many milliseconds, or on a busy machine at most in proportion. */
export const isPrompt = async (took: number, limit: number): Promise<boolean> =>
  took <= limit || took <= margin * (await undisturbed())

/** Runs an effect and throws if it was not prompt. */
export const promptly = <A, E, R>(limit: number, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const begun = performance.now()
    const result = yield* effect
    const took = performance.now() - begun
    if (!(yield* Effect.promise(() => isPrompt(took, limit)))) throw new Error(`took ${Math.round(took)} ms`)
    return result
  })
