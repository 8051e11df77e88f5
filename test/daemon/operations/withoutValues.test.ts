/**
 * A text of a client keeps no value of the store, in no common encoding.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { withoutValues } from "../../../src/daemon/operations/withoutValues.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { addSecret, testLayerNoTelemetry } from "../../support/testLayer.ts"

const value = "made-up / value+7Qw"
const bytes = Buffer.from(value)

const withStore = <A, E>(test: Effect.Effect<A, E, SecretStore>) =>
  Effect.gen(function* () {
    yield* addSecret("tok", `${value}\n`)
    yield* addSecret("longer", `${value}-and-more`)
    yield* addSecret("pair", JSON.stringify({ user: "made-up-user" }))
    yield* addSecret("tiny", "abc")
    return yield* test
  }).pipe(Effect.provide(testLayerNoTelemetry))

describe("a text of a client", () => {
  it.effect("has a mask in place of each value", () =>
    withStore(
      Effect.gen(function* () {
        const cases = [
          ["deploy the page", "deploy the page"],
          [`use ${value} and ${value}`, "use *** and ***"],
          [`${value}-and-more`, "***"],
          ["for made-up-user, abc", "for ***, abc"],
          [`in base64: ${bytes.toString("base64")}.`, "in base64: ***."],
          [`Basic ${Buffer.from(`me:${value}`).toString("base64url")}`, "Basic ***"],
          [`hex ${bytes.toString("hex").toUpperCase()}`, "hex ***"],
          [`x=${encodeURIComponent(value)}`, "***"],
          ["100% of it", "100% of it"]
        ] as const
        for (const [text, kept] of cases) assert.strictEqual(yield* withoutValues(text), kept)
      })
    )
  )

  it.effect("is not kept while the store is locked", () =>
    withStore(
      Effect.gen(function* () {
        yield* SecretStore.use(({ lock }) => lock(Effect.void))
        assert.strictEqual(yield* withoutValues("deploy the page"), "***")
      })
    )
  )
})
