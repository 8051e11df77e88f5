/**
 * What `secrets policy` rejects before it asks the daemon.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { policyCommand } from "../../../../src/cli/commands/policy/policy.ts"

describe("secrets policy explain", () => {
  it.effect.each(["foo", "helper:nosuch", "", "lease "])("rejects the way %j, and lists the ways", (way) =>
    Effect.gen(function* () {
      const parsed = policyCommand.parse(["explain", "x", "--via", way])
      if (parsed.kind !== "run") return assert.fail(parsed.kind)
      const { exitStatus, fix } = yield* Effect.flip(parsed.run())
      assert.strictEqual(exitStatus, 2)
      assert.match(fix, /^The ways: lease, exec, env, mcp, proxy, helper:print, helper:git, /)
    })
  )
})
