/**
 * The policy is read again as a whole or not at all, and each change of it is recorded.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { reloadConfig } from "../../../src/daemon/lifecycle/reloadConfig.ts"
import { replaceablePolicy } from "../../../src/daemon/operations/CurrentPolicy.ts"
import { replaceableRoutes } from "../../../src/daemon/operations/CurrentRoutes.ts"
import { decodeConfig } from "../../../src/domain/Config.ts"
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

const routesOf = (secret: string) => {
  const text = JSON.stringify({ proxy: { routes: { api: { secret, upstream: "https://api.example" } } } })
  return Result.getOrThrow(decodeConfig(text, "/home/me")).config.proxyRoutes
}

describe("reloadConfig", () => {
  it.effect("replaces the rules, and records them if they differ", () => {
    const policy = replaceablePolicy([rule])
    const current = { policy, routes: replaceableRoutes([]) }
    const verdict = () => policy.get().decide({ secretName: "db", clientId: "ci" })._tag
    return Effect.gen(function* () {
      yield* reloadConfig(current, Effect.succeed({ policy: [{ ...rule }], proxyRoutes: [] }))
      assert.deepStrictEqual(yield* recorded, [])
      yield* reloadConfig(current, Effect.succeed({ policy: [{ ...rule, secrets: ["mail"] }], proxyRoutes: [] }))
      assert.strictEqual(verdict(), "Hidden")
      yield* reloadConfig(current, Effect.fail({ message: "the file is not JSON" }))
      assert.strictEqual(verdict(), "Hidden")
      yield* reloadConfig(current, Effect.succeed({ policy: undefined, proxyRoutes: [] }))
      assert.strictEqual(verdict(), "Permitted")
      assert.deepStrictEqual(yield* recorded, ["policy_load: rules: 1, sha256:HASH", "policy_load: there is no policy"])
    }).pipe(Effect.provide(memoryAuditLog))
  })

  it.effect("keeps the rules that apply if the new ones cannot be recorded", () => {
    const policy = replaceablePolicy([rule])
    const current = { policy, routes: replaceableRoutes([]) }
    const broken = { now: true }
    return Effect.gen(function* () {
      yield* reloadConfig(current, Effect.succeed({ policy: undefined, proxyRoutes: [] }))
      assert.deepStrictEqual(policy.rules(), [rule])
      broken.now = false
      yield* reloadConfig(current, Effect.succeed({ policy: undefined, proxyRoutes: [] }))
      assert.strictEqual(policy.rules(), undefined)
    }).pipe(Effect.provide(testLayerWithAudit(broken)))
  })

  it.effect("replaces the routes together with the rules, or neither", () => {
    const [before, after] = [routesOf("db"), routesOf("mail")]
    const current = { policy: replaceablePolicy([rule]), routes: replaceableRoutes(before) }
    const broken = { now: true }
    return Effect.gen(function* () {
      const next = { policy: undefined, proxyRoutes: after }
      for (const failing of [Effect.succeed(next), Effect.fail({ message: "not JSON" }), Effect.undefined]) {
        yield* reloadConfig(current, failing)
        assert.deepStrictEqual([current.routes.get(), current.policy.rules()], [before, [rule]])
      }
      broken.now = false
      yield* reloadConfig(current, Effect.succeed(next))
      assert.deepStrictEqual([current.routes.get(), current.policy.rules()], [after, undefined])
    }).pipe(Effect.provide(testLayerWithAudit(broken)))
  })
})
