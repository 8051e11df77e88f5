/**
 * The policy is read again as a whole or not at all, and each change of it is recorded.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { reloadPolicy } from "../../../src/daemon/lifecycle/reloadPolicy.ts"
import { replaceablePolicy } from "../../../src/daemon/operations/CurrentPolicy.ts"
import { minute } from "../../../src/domain/GoDuration.ts"
import { testLayerWithAudit } from "../../support/testLayer.ts"
import { memoryAuditLog } from "../../support/memoryAuditLog.ts"

const rule = {
  secrets: ["db"],
  clients: undefined,
  via: undefined,
  maxTtl: minute,
  commands: undefined,
  approval: undefined,
  reason: false
}
const recorded = Effect.map(
  AuditLog.use((audit) => audit.tail(10)),
  (entries) => entries.map(({ action, details }) => `${action}: ${details?.replace(/[0-9a-f]{64}/, "HASH")}`)
)

describe("reloadPolicy", () => {
  it.effect("replaces the rules, and records them if they differ", () => {
    const policy = replaceablePolicy([rule])
    const verdict = () => policy.get().decide({ secretName: "db", clientId: "ci" })._tag
    return Effect.gen(function* () {
      yield* reloadPolicy(policy, Effect.succeed([{ ...rule }]))
      assert.deepStrictEqual(yield* recorded, [])
      yield* reloadPolicy(policy, Effect.succeed([{ ...rule, secrets: ["mail"] }]))
      assert.strictEqual(verdict(), "Hidden")
      yield* reloadPolicy(policy, Effect.fail({ message: "the file is not JSON" }))
      assert.strictEqual(verdict(), "Hidden")
      yield* reloadPolicy(policy, Effect.succeed(undefined))
      assert.strictEqual(verdict(), "Permitted")
      assert.deepStrictEqual(yield* recorded, ["policy_load: rules: 1, sha256:HASH", "policy_load: there is no policy"])
    }).pipe(Effect.provide(memoryAuditLog))
  })

  it.effect("keeps the rules that apply if the new ones cannot be recorded", () => {
    const policy = replaceablePolicy([rule])
    const broken = { now: true }
    return Effect.gen(function* () {
      yield* reloadPolicy(policy, Effect.succeed(undefined))
      assert.deepStrictEqual(policy.rules(), [rule])
      broken.now = false
      yield* reloadPolicy(policy, Effect.succeed(undefined))
      assert.strictEqual(policy.rules(), undefined)
    }).pipe(Effect.provide(testLayerWithAudit(broken)))
  })
})
