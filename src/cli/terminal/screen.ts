/**
 * A full-screen view on the terminal's alternate screen.
 *
 * The terminal is restored however the command ends: normally, by a signal or by a
 * crash. Input is not echoed; `q`, Ctrl-C and Ctrl-D quit, and ^Z stops it until `fg`.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { escapeLine } from "../../domain/escape.ts"
import { handleTerminalSignals } from "./terminalSignals.ts"

export interface Screen {
  readonly draw: (lines: ReadonlyArray<string>) => void
  readonly size: () => { readonly columns: number; readonly rows: number }
  /** Waits for a key that quits. Ctrl-C interrupts, like SIGINT. */
  readonly ended: Effect.Effect<void>
  /** Waits for any other key. */
  readonly pressed: Effect.Effect<string>
  /** Waits for the terminal to be resized. */
  readonly resized: Effect.Effect<void>
}

const enterScreen = "\u001b[?1049h\u001b[?25l"
const leaveScreen = "\u001b[?25h\u001b[?1049l"
const home = "\u001b[H"
const clearLine = "\u001b[K"
const clearBelow = "\u001b[J"

/** In raw mode, Ctrl-C and ^Z arrive as characters instead of signals. */
const keys: ReadonlyMap<string, Effect.Effect<void>> = new Map([
  ["q", Effect.void],
  ["Q", Effect.void],
  ["\u0004", Effect.void],
  ["\u0003", Effect.interrupt]
])
const suspendKey = "\u001a"

/** Replaces the line that shows the progress; does nothing without a terminal. */
export const showProgressLine = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r${clearLine}${escapeLine(text)}`)
}

/** Opens the screen for the lifetime of the scope. */
export const openScreen = Effect.gen(function* () {
  const quits = yield* Queue.sliding<Effect.Effect<void>>(1)
  const resizes = yield* Queue.sliding<void>(1)
  const pressed = yield* Queue.sliding<string>(16)
  const { stdin, stdout } = process
  const onKey = (chunk: Buffer | string) => {
    for (const key of chunk.toString()) {
      if (key === suspendKey) signals.suspend()
      const action = keys.get(key)
      if (action === undefined) Queue.offerUnsafe(pressed, key)
      else Queue.offerUnsafe(quits, action)
    }
  }
  const onResize = () => void Queue.offerUnsafe(resizes, undefined)
  let isOpen = false
  const enter = () => {
    isOpen = true
    if (stdin.isTTY) stdin.setRawMode(true)
    stdout.write(enterScreen)
    onResize()
  }
  const restore = () => {
    if (!isOpen) return
    isOpen = false
    if (stdin.isTTY) stdin.setRawMode(false)
    stdout.write(leaveScreen)
  }
  const signals = handleTerminalSignals({ enter, leave: restore })
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      process.once("exit", restore)
      stdout.on("resize", onResize)
      // The terminal was closed.
      stdout.on("error", () => process.exit(0))
      if (stdin.isTTY) stdin.on("data", onKey)
      enter()
    }),
    () =>
      Effect.sync(() => {
        restore()
        signals.release()
        process.off("exit", restore)
        stdout.off("resize", onResize)
        stdin.off("data", onKey).pause()
      })
  )
  /** A terminal whose size is not known reports 0. */
  const size = () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 })
  const screen: Screen = {
    draw: (lines) => {
      const text = lines.slice(0, size().rows).map((line) => `${line}${clearLine}`)
      stdout.write(`${home}${text.join("\r\n")}${clearBelow}`)
    },
    size,
    ended: Effect.flatten(Queue.take(quits)),
    pressed: Queue.take(pressed),
    resized: Queue.take(resizes)
  }
  return screen
})
