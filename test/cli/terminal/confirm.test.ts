/**
 * A question is answered by yes, and everything else is a no.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { PassThrough } from "node:stream"
import { text } from "node:stream/consumers"
import { confirm } from "../../../src/cli/terminal/confirm.ts"

const answer = (typed: string) => {
  const [input, output] = [new PassThrough(), new PassThrough()]
  input.end(typed)
  return Effect.map(confirm("Sure?", { input, output }), (sure) => ({ sure, output }))
}

describe("confirm", () => {
  it.live.each(["y\n", "y", "yes\r", "  YES \n", "y\nn\n"])("takes %j for a yes", (typed) =>
    Effect.map(answer(typed), ({ sure }) => assert.isTrue(sure))
  )

  it.live.each(["", "\n", "n\n", "no\n", "yess\n", "\u0004", "\u0003y\n", "x\ny\n"])("takes %j for a no", (typed) =>
    Effect.map(answer(typed), ({ sure }) => assert.isFalse(sure))
  )

  it.live("says that no is the default", () =>
    Effect.gen(function* () {
      const { output } = yield* answer("n\n")
      output.end()
      assert.include(yield* Effect.promise(() => text(output)), "Sure? [y/N] ")
    })
  )
})
