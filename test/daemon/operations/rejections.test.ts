/**
 * Credentials that a target rejected: recorded for secrets that exist, and shown until the value changes.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { checkHealth } from "../../../src/daemon/operations/health.ts"
import { reportRejection } from "../../../src/daemon/operations/rejections.ts"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { hour } from "../../../src/domain/GoDuration.ts"
import { addSecret, testLayerNoTelemetry } from "../../support/testLayer.ts"

const origin = { via: "helper:git", program: "/usr/bin/git" }
const shown = Effect.map(checkHealth(hour), ({ warnings }) =>
  warnings.flatMap(({ message, type }) => (type === "credential_rejected" ? [message] : []))
)
const updated = AuditLog.use((audit) => audit.append([{ action: "secret_update", secret_name: "db", success: true }]))

describe("a rejected credential", () => {
  it.effect("is shown with its target and how often, until the value changes", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      assert.deepStrictEqual(yield* shown, [])
      yield* reportRejection("db", "me/git:https://a.example", origin)
      assert.deepStrictEqual(yield* shown, ['"db" was rejected by its target: "me/git:https://a.example"'])
      yield* reportRejection("db", "me/git:https://b.example", origin)
      assert.deepStrictEqual(yield* shown, ['"db" was rejected by its target: "me/git:https://b.example", 2 times'])
      yield* updated
      assert.deepStrictEqual(yield* shown, [])
      yield* reportRejection("db", "me/git:https://a.example", origin)
      assert.deepStrictEqual((yield* shown).length, 1)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("of a secret that does not exist is refused, and not shown later", () =>
    Effect.gen(function* () {
      const refusal = yield* Effect.flip(reportRejection("later", "c", origin))
      assert.strictEqual(refusal._tag, "SecretNotFound")
      yield* addSecret("later")
      assert.deepStrictEqual(yield* shown, [])
      const [entry] = (yield* AuditLog.use((audit) => audit.tail(10))).filter(
        ({ action }) => action === "credential_rejected"
      )
      assert.deepInclude(entry, { success: false, details: "secret not found", program: "git", via: "helper:git" })
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})
