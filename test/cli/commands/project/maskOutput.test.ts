/**
 * Masked output is forwarded in time, and ends when it should.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { PassThrough, Writable } from "node:stream"
import { forwardMasked } from "../../../../src/cli/commands/project/maskOutput.ts"
import { parsePulledEnv } from "../../../../src/cli/commands/project/pullVercel.ts"
import { makeMaskers } from "../../../../src/domain/Masker.ts"
import { encodedVariants } from "../../../../src/domain/variants.ts"

const testOutput = Effect.gen(function* () {
  const from = new PassThrough()
  let shown = ""
  const waiting: Array<() => void> = []
  const to = new Writable({
    write: (piece, _encoding, done) => {
      shown += String(piece)
      for (const wake of waiting.splice(0)) wake()
      done()
    }
  })
  const exited = yield* Deferred.make<void>()
  const over = Effect.andThen(Deferred.await(exited), Effect.sleep(200))
  const fiber = yield* Effect.forkChild(forwardMasked(from, to, makeMaskers(encodedVariants("hunter22"))(), over))
  /** Waits until something is written, and returns all output. */
  const next = Effect.callback<string>((resume) => void waiting.push(() => resume(Effect.sync(() => shown))))
  /** All work is in this process, so after some turns of the event loop only the clock is waited for. */
  const settle = Effect.promise(async () => {
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  })
  return { from, to, exited, fiber, next, settle, shown: () => shown }
})

/** Forwards to an output that takes no byte, for this reason. */
const forwardTo = (code: string) => {
  const from = new PassThrough()
  from.end("hi\n")
  const to = new Writable({ write: (_piece, _encoding, done) => done(Object.assign(new Error(code), { code })) })
  return forwardMasked(from, to, makeMaskers(encodedVariants("hunter22"))(), Effect.never)
}

describe("masked output", () => {
  it.effect("returns why it was lost, except where nobody reads it", () =>
    Effect.gen(function* () {
      assert.match((yield* forwardTo("ENOSPC")) ?? "", /ENOSPC|space/)
      assert.strictEqual(yield* forwardTo("EPIPE"), undefined)
    })
  )

  it.effect("releases a prompt that ends in the first letters of a value after 50 ms, and not before", () =>
    Effect.gen(function* () {
      const { from, next, settle, shown } = yield* testOutput
      from.write("continue? hu")
      assert.strictEqual(yield* next, "continue? ")
      yield* settle
      yield* TestClock.adjust(49)
      yield* settle
      assert.strictEqual(shown(), "continue? ")
      const all = yield* Effect.forkChild(next)
      yield* settle
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(all), "continue? hu")
      from.end("nter22\n")
      assert.strictEqual(yield* next, "continue? hu***\n")
    })
  )

  it.effect("is forwarded to its end, including what was held back", () =>
    Effect.gen(function* () {
      const { fiber, from, shown } = yield* testOutput
      from.end("a hunter22 and a hunter")
      yield* Fiber.join(fiber)
      assert.strictEqual(shown(), "a *** and a hunter")
    })
  )

  it.effect("ends 200 ms after the last chunk if another process holds it after the exit", () =>
    Effect.gen(function* () {
      const { exited, fiber, from, next, settle, shown } = yield* testOutput
      yield* Deferred.succeed(exited, undefined)
      yield* settle
      yield* TestClock.adjust(199)
      from.write("late ")
      yield* next
      yield* settle
      yield* TestClock.adjust(199)
      from.write("later ")
      yield* next
      yield* settle
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(200)
      yield* Fiber.join(fiber)
      assert.strictEqual(shown(), "late later ")
      assert.isTrue(from.destroyed)
    })
  )

  it.effect("ends when its reader closes it", () =>
    Effect.gen(function* () {
      const { fiber, from, settle, to } = yield* testOutput
      yield* settle
      to.destroy(new Error("EPIPE"))
      yield* Fiber.join(fiber)
      assert.isTrue(from.destroyed)
    })
  )
})

describe("the file that Vercel writes", () => {
  it("is parsed with escaped line breaks, and no other escapes", () => {
    assert.deepStrictEqual(
      parsePulledEnv('# Created by Vercel CLI\nA="x"\nB="say "hi" \\$5"\nC="one\\ntwo\\r\\n"\nD=""\n\n'),
      [
        { name: "A", value: "x" },
        { name: "B", value: 'say "hi" \\$5' },
        { name: "C", value: "one\ntwo\r\n" },
        { name: "D", value: "" }
      ]
    )
  })
})
