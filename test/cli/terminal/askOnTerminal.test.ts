/**
 * A question is answered by yes, and everything else is a no.
 */
import { assert, describe, it } from "@effect/vitest"
import { isYes } from "../../../src/cli/terminal/askOnTerminal.ts"

describe("the answer to a question", () => {
  it.each(["y\n", "y", "yes\r\n", "  YES \n"])("%j is a yes", (line) => assert.isTrue(isYes(line)))

  it.each(["", "\n", "n\n", "no\n", "yess\n", "x\ny\n", "y n\n"])("%j is a no", (line) => assert.isFalse(isYes(line)))
})
