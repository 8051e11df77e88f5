/**
 * A question is answered by yes, and everything else is a no. `e2e/emergency.test.ts` asks in a real terminal.
 */
import { assert, describe, it } from "@effect/vitest"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { askOnTerminal, isYes } from "../../../src/cli/terminal/askOnTerminal.ts"

describe("the answer to a question", () => {
  it.each(["y\n", "y", "yes\r\n", "  YES \n"])("%j is a yes", (line) => assert.isTrue(isYes(line)))

  it.each(["", "\n", "n\n", "no\n", "yess\n", "x\ny\n", "y n\n"])("%j is a no", (line) => assert.isFalse(isYes(line)))
})

describe("a question", () => {
  it("is shown when no handler takes Ctrl-C any more, and gives the handlers back", () => {
    const { readSync, writeSync } = fs
    const counts: Array<number> = []
    const count = () => {
      counts.push(process.listenerCount("SIGINT"))
      return 0
    }
    const handler = () => undefined
    process.on("SIGINT", handler)
    const before = process.listenerCount("SIGINT")
    Object.assign(fs, { readSync: count, writeSync: count })
    syncBuiltinESMExports()
    try {
      assert.strictEqual(askOnTerminal("Delete it? "), "")
      assert.deepStrictEqual(counts, [0, 0, 0])
      assert.strictEqual(process.listenerCount("SIGINT"), before)
    } finally {
      Object.assign(fs, { readSync, writeSync })
      syncBuiltinESMExports()
      for (const listener of process.listeners("SIGINT").slice(-1)) process.off("SIGINT", listener)
    }
  })
})
