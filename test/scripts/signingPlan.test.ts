/**
 * The signature of the binary.
 */
import { assert, describe, it } from "@effect/vitest"
import { signingPlan } from "../../scripts/signingPlan.ts"

const commands = (platform: string) => signingPlan(platform, "/b/secrets").map(({ command }) => command.join(" "))

describe("the binary", () => {
  it("is signed again on macOS, checked, and run at last", () => {
    assert.deepStrictEqual(commands("darwin"), [
      "codesign --remove-signature /b/secrets",
      "codesign --force --sign - /b/secrets",
      "codesign --verify --strict /b/secrets",
      "/b/secrets version"
    ])
  })

  it("may have no signature to remove, and fails the build for any other step", () => {
    assert.deepStrictEqual(
      signingPlan("darwin", "/b/secrets").map(({ mayFail }) => mayFail),
      [true, undefined, undefined, undefined]
    )
  })

  it("is only run elsewhere", () => assert.deepStrictEqual(commands("linux"), ["/b/secrets version"]))
})
