/**
 * A SIGHUP while the daemon starts.
 */
import { assert, it } from "@effect/vitest"
import { keepHangup } from "../../../../src/cli/commands/serve/signals.ts"

it("is handled once the daemon can, and once", () => {
  const { hangup, onHangup } = keepHangup()
  const calls: Array<string> = []
  hangup()
  onHangup(() => calls.push("first"))
  assert.deepStrictEqual(calls, ["first"])
  hangup()
  onHangup(() => calls.push("second"))
  hangup()
  assert.deepStrictEqual(calls, ["first", "first", "second"])
})
