/**
 * A prompt leaves the terminal as it was, and asks again after a stop.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { PassThrough, Writable } from "node:stream"
import { promptLine } from "../../../src/cli/terminal/promptLine.ts"

const terminal = () => {
  const modes: Array<boolean> = []
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (raw: boolean) => modes.push(raw) })
  const pieces: Array<string> = []
  const output = new Writable({
    write: (piece, _encoding, done) => {
      pieces.push(String(piece))
      done()
    }
  })
  return { input, output, modes, shown: () => pieces.join("") }
}

const watched = ["SIGCONT", "SIGHUP", "SIGQUIT"] as const
const listeners = () => watched.map((name) => process.listenerCount(name))

describe("promptLine", () => {
  it.live("sets the mode again and repeats the question after a stop, without what was typed", () =>
    Effect.gen(function* () {
      const { input, modes, output, shown } = terminal()
      const asked = yield* Effect.forkChild(promptLine("Which? ", { input, output }))
      yield* Effect.yieldNow
      input.write("half")
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      process.emit("SIGCONT", "SIGCONT")
      input.write("whole\r")
      assert.deepStrictEqual(yield* Fiber.join(asked), ["whole"])
      assert.deepStrictEqual(modes, [true, false, true, false])
      // No reader of the first question is left, and nothing typed is shown.
      assert.strictEqual(shown(), "Which? Which? \n")
    })
  )

  it.live("restores the terminal and its handlers when it ends by a line, and when it is interrupted", () =>
    Effect.gen(function* () {
      const before = listeners()
      const { input, modes, output } = terminal()
      input.write("line\r")
      yield* promptLine("? ", { input, output })
      assert.deepStrictEqual([modes, listeners()], [[true, false], before])
      const other = terminal()
      const asked = yield* Effect.forkChild(promptLine("? ", other))
      yield* Effect.yieldNow
      assert.notDeepEqual(listeners(), before)
      yield* Fiber.interrupt(asked)
      assert.deepStrictEqual([other.modes, listeners()], [[true, false], before])
    })
  )
})
