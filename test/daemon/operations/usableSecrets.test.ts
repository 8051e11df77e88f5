/**
 * What a client may use in one way: a secret that the policy refuses for this way is only counted.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { CurrentCaller } from "../../../src/daemon/audit/CurrentCaller.ts"
import { CurrentPolicy } from "../../../src/daemon/operations/CurrentPolicy.ts"
import { usableSecrets } from "../../../src/daemon/operations/status.ts"
import { makePolicy, type PolicyRule } from "../../../src/domain/Policy.ts"
import { addSecret, testLayerNoTelemetry } from "../../support/testLayer.ts"

const any: PolicyRule = {
  secrets: ["*"],
  clients: undefined,
  via: undefined,
  maxTtl: undefined,
  approval: undefined,
  commands: undefined,
  reason: false
}
const policy = makePolicy([
  { ...any, secrets: ["hidden"], via: [] },
  { ...any, secrets: ["shell"], via: ["exec"] },
  { ...any, secrets: ["strict"], via: ["mcp"], commands: ["gh"], reason: true, approval: "always" },
  { ...any, clients: ["agent*"] }
])

const usable = (clientId: string) =>
  Effect.map(usableSecrets(clientId, "mcp"), ({ hidden, usable }) => [
    usable.map(({ approval, rule, secret }) => [secret.name, rule?.commands, approval]),
    hidden
  ])

const someSecrets = Effect.forEach(["hidden", "shell", "strict", "open"], (name) => addSecret(name))

describe("usable secrets", () => {
  it.effect("are those whose rule permits the way, with what it asks for", () =>
    Effect.gen(function* () {
      yield* someSecrets
      assert.deepStrictEqual(yield* usable("agent-1"), [
        [
          ["open", undefined, "none"],
          ["strict", ["gh"], "needed"]
        ],
        2
      ])
      assert.deepStrictEqual(yield* usable("other"), [[["strict", ["gh"], "needed"]], 3])
    }).pipe(Effect.provideService(CurrentPolicy, { get: () => policy }), Effect.provide(testLayerNoTelemetry))
  )

  it.effect("are all without a policy, and on a limited socket nothing else is counted", () =>
    Effect.gen(function* () {
      yield* someSecrets
      const limited = Effect.provideService(usable("x"), CurrentCaller, {
        role: "lease",
        socket: "w",
        scope: { permits: (name) => name === "open", clientPrefix: "w/" }
      })
      assert.deepStrictEqual(yield* limited, [[["open", undefined, "none"]], 0])
      assert.deepStrictEqual((yield* usable("x"))[1], 0)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})
