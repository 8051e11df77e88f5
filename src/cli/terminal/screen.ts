/**
 * A screen of one's own on a terminal: drawn over in place, left as it was found.
 *
 * It is given back however the command ends: in order, by a signal, by a breakdown.
 * What is typed is not shown; `q`, Ctrl-C and Ctrl-D are told as the wish to end.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { constants } from "node:os"

export interface Screen {
  readonly draw: (lines: ReadonlyArray<string>) => void
  readonly size: () => { readonly columns: number; readonly rows: number }
  /** Waits until somebody wants it to end; is interrupted where it was Ctrl-C, as by the signal. */
  readonly ended: Effect.Effect<void>
  /** Waits until the terminal has another size. */
  readonly resized: Effect.Effect<void>
}

const enter = "\u001b[?1049h\u001b[?25l"
const leave = "\u001b[?25h\u001b[?1049l"
const home = "\u001b[H"
const clearLine = "\u001b[K"
const clearBelow = "\u001b[J"

/** In raw mode Ctrl-C is a letter like others. */
const keys: ReadonlyMap<string, Effect.Effect<void>> = new Map([
  ["q", Effect.void],
  ["Q", Effect.void],
  ["\u0004", Effect.void],
  ["\u0003", Effect.interrupt]
])

/** These would end the process without a word. SIGINT and SIGTERM are seen to already. */
const deadly = ["SIGHUP", "SIGQUIT", "SIGABRT"] as const

/** Takes the screen until the scope ends. */
export const openScreen = Effect.gen(function* () {
  const wishes = yield* Queue.sliding<Effect.Effect<void>>(1)
  const resizes = yield* Queue.sliding<void>(1)
  const { stdin, stdout } = process
  const onKey = (piece: Buffer | string) => {
    for (const key of piece.toString()) {
      const wish = keys.get(key)
      if (wish !== undefined) Queue.offerUnsafe(wishes, wish)
    }
  }
  const onResize = () => void Queue.offerUnsafe(resizes, undefined)
  let isTaken = false
  const giveBack = () => {
    if (!isTaken) return
    isTaken = false
    if (stdin.isTTY) stdin.setRawMode(false)
    stdout.write(leave)
  }
  const onDeadly = (signal: NodeJS.Signals) => {
    giveBack()
    process.exit(128 + constants.signals[signal])
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      isTaken = true
      process.once("exit", giveBack)
      for (const signal of deadly) process.once(signal, onDeadly)
      stdout.on("resize", onResize)
      // A terminal that has gone is no reason to complain.
      stdout.on("error", () => process.exit(0))
      if (stdin.isTTY) stdin.setRawMode(true).on("data", onKey)
      stdout.write(enter)
    }),
    () =>
      Effect.sync(() => {
        giveBack()
        process.off("exit", giveBack)
        for (const signal of deadly) process.off(signal, onDeadly)
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
    ended: Effect.flatten(Queue.take(wishes)),
    resized: Queue.take(resizes)
  }
  return screen
})
