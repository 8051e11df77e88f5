/**
 * The signals that the daemon ignores: none by which a processor reports a fault.
 */
import { assert, describe, it } from "@effect/vitest"
import { ignoredSignals } from "../../../../src/cli/commands/serve/ignoredSignals.ts"

describe("ignoredSignals", () => {
  it("has no signal of a fault, whose instruction would run again when a listener returns", () => {
    for (const fault of ["SIGILL", "SIGBUS", "SIGFPE", "SIGSEGV", "SIGTRAP"] as const) {
      assert.notInclude(ignoredSignals, fault)
    }
  })
})
