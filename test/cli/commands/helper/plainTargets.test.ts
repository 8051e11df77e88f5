/**
 * Targets that are written plainly are read as the schema decodes them, and all others are left to it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { plainTargets } from "../../../../src/cli/commands/helper/plainTargets.ts"
import { decodeConfig } from "../../../../src/domain/Config.ts"
import { randomFrom } from "../../../support/random.ts"

const decoded = (helpers: unknown) => {
  const result = decodeConfig(JSON.stringify({ helpers }), "/home/me")
  return Result.isSuccess(result) ? result.success.config.helpers : undefined
}

/** Leaves out members that are undefined. */
const given = (targets: unknown): unknown => JSON.parse(JSON.stringify(targets))

describe("plain targets", () => {
  it("are those of most files", () => {
    const helpers = {
      git: { "https://github.com": { secret: "a" }, "https://git.example/team": { secret: "b", username: "me" } },
      docker: { "ghcr.io": { secret: "a", username: "me" } },
      aws: { deploy: { access_key_id: "a", secret_access_key: "b", session_token: "c" }, one: { secret: "d" } },
      kubernetes: { prod: { secret: "a" }, cert: { client_certificate: "b", client_key: "c", server: "https://k" } },
      openclaw: { "*": {}, "gateway/*": { prefix: "oc_" }, exact: { secret: "a" } },
      askpass: { "Enter passphrase for *": { secret: "a" } },
      terraform: { "app.terraform.io": { secret: "a" } },
      cargo: { "sparse+https://index.example/": { secret: "a" } },
      pip: { "https://pypi.example/simple": { secret: "a", username: "me" } }
    }
    assert.deepStrictEqual(given(plainTargets(helpers)), helpers)
    assert.deepStrictEqual(given(decoded(helpers)), helpers)
  })

  it("are never what the schema rejects or reads otherwise", () => {
    const { below, pick } = randomFrom(20_261_130)
    const protocols = [
      "git",
      "docker",
      "aws",
      "kubernetes",
      "openclaw",
      "askpass",
      "terraform",
      "cargo",
      "pip",
      "print"
    ]
    const keys = [
      "https://github.com",
      "http://evil",
      "ghcr.io",
      "*",
      "a b",
      "",
      "\n",
      "é",
      "https://u@x",
      "x/y",
      "__proto__"
    ]
    const members = ["secret", "username", "access_key_id", "secret_access_key", "session_token", "prefix", "server"]
    const values: ReadonlyArray<unknown> = ["a", "a", "a", "", "\n", "1h", 5, null, {}, ["a"]]
    const some = <A>(most: number, one: () => A) => Array.from({ length: below(most) }, one)
    let plain = 0
    for (let n = 0; n < 3000; n += 1) {
      const target = () =>
        below(12) === 0
          ? pick(values)
          : Object.fromEntries(
              some(4, () => [pick([...members, "ttl", "client_key", "client_certificate"]), pick(values)])
            )
      const section = () => Object.fromEntries(some(3, () => [pick(keys), target()]))
      const helpers = Object.fromEntries(some(3, () => [pick(protocols), below(20) === 0 ? pick(values) : section()]))
      const found = plainTargets(helpers)
      if (found === undefined) continue
      plain += 1
      assert.deepStrictEqual(given(found), given(decoded(helpers) ?? "rejected"), JSON.stringify(helpers))
    }
    assert.isAbove(plain, 100)
  })
})
