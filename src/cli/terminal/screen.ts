/**
 * A full-screen view on the terminal's alternate screen.
 *
 * The terminal is restored however the command ends: normally, by a signal or by a
 * crash. Input is not echoed; `q`, Ctrl-C and Ctrl-D quit.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { constants } from "node:os"
import { escapeLine } from "../../domain/escape.ts"

export interface Screen {
  readonly draw: (lines: ReadonlyArray<string>) => void
  readonly size: () => { readonly columns: number; readonly rows: number }
  /** Waits for a key that quits. Ctrl-C interrupts, like SIGINT. */
  readonly ended: Effect.Effect<void>
  /** Waits for the terminal to be resized. */
  readonly resized: Effect.Effect<void>
}

const enterScreen = "\u001b[?1049h\u001b[?25l"
const leaveScreen = "\u001b[?25h\u001b[?1049l"
const home = "\u001b[H"
const clearLine = "\u001b[K"
const clearBelow = "\u001b[J"

/** In raw mode, Ctrl-C arrives as a character instead of SIGINT. */
const keys: ReadonlyMap<string, Effect.Effect<void>> = new Map([
  ["q", Effect.void],
  ["Q", Effect.void],
  ["\u0004", Effect.void],
  ["\u0003", Effect.interrupt]
])

/** Their default action would skip the cleanup; `runMain` already handles SIGINT and SIGTERM. */
const fatalSignals = ["SIGHUP", "SIGQUIT", "SIGABRT"] as const

/** Replaces the line that shows the progress; does nothing without a terminal. */
export const showProgressLine = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r${clearLine}${escapeLine(text)}`)
}

/** Opens the screen for the lifetime of the scope. */
export const openScreen = Effect.gen(function* () {
  const quits = yield* Queue.sliding<Effect.Effect<void>>(1)
  const resizes = yield* Queue.sliding<void>(1)
  const { stdin, stdout } = process
  const onKey = (chunk: Buffer | string) => {
    for (const key of chunk.toString()) {
      const action = keys.get(key)
      if (action !== undefined) Queue.offerUnsafe(quits, action)
    }
  }
  const onResize = () => void Queue.offerUnsafe(resizes, undefined)
  let isOpen = false
  const restore = () => {
    if (!isOpen) return
    isOpen = false
    if (stdin.isTTY) stdin.setRawMode(false)
    stdout.write(leaveScreen)
  }
  const onFatalSignal = (signal: NodeJS.Signals) => {
    restore()
    process.exit(128 + constants.signals[signal])
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      isOpen = true
      process.once("exit", restore)
      for (const signal of fatalSignals) process.once(signal, onFatalSignal)
      stdout.on("resize", onResize)
      // The terminal was closed.
      stdout.on("error", () => process.exit(0))
      if (stdin.isTTY) stdin.setRawMode(true).on("data", onKey)
      stdout.write(enterScreen)
    }),
    () =>
      Effect.sync(() => {
        restore()
        process.off("exit", restore)
        for (const signal of fatalSignals) process.off(signal, onFatalSignal)
        stdout.off("resize", onResize)
        stdin.off("data", onKey).pause()
      })
  )
  const screen: Screen = {
    draw: (lines) => {
      const text = lines.slice(0, Math.max(1, stdout.rows)).map((line) => `${line}${clearLine}`)
      stdout.write(`${home}${text.join("\r\n")}${clearBelow}`)
    },
    size: () => ({ columns: stdout.columns, rows: stdout.rows }),
    ended: Effect.flatten(Queue.take(quits)),
    resized: Queue.take(resizes)
  }
  return screen
})
