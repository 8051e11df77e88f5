/**
 * How far a scan is: one line on the terminal that replaces itself, and nothing
 * where there is no terminal.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Scan } from "./Scan.ts"

/** Long enough to cost nothing, short enough for Ctrl-C to be heard at once. */
const pause = 100

const cleared = "\r\u001B[K"

export interface Progress {
  /** To be run after each file: shows how far it is, and lets signals be heard. */
  readonly step: Effect.Effect<void>
  readonly done: Effect.Effect<void>
}

export const progressOf = Effect.fnUntraced(function* (scan: Scan, out: NodeJS.WriteStream = process.stderr) {
  let last = yield* Clock.currentTimeMillis
  let isShown = false
  const show = (text: string) => {
    if (out.isTTY) out.write(`${cleared}${text}`)
    isShown = text !== ""
  }
  const step = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    if (now - last < pause) return Effect.void
    last = now
    show(`${scan.files} files, ${(scan.bytes / 1e6).toFixed(0)} MB`)
    return Effect.yieldNow
  })
  const progress: Progress = { step, done: Effect.sync(() => (isShown ? show("") : undefined)) }
  return progress
})
