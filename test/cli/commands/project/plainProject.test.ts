/**
 * What is read plainly is what the schema of the file decodes, and most files are.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { plainProject } from "../../../../src/cli/commands/project/plainProject.ts"
import { readProjectFile } from "../../../../src/domain/ProjectFile.ts"
import { randomFrom } from "../../../support/random.ts"

describe("plainProject", () => {
  it("reads a plain file without the schema", () => {
    const project = {
      $schema: "https://example.com/secrets.schema.json",
      client_id: "worker",
      ttl: "1h",
      secrets: [
        { name: "db", env_var: "DATABASE_URL" },
        { name: "api/key", env_var: "API_KEY", ttl: "30m" }
      ]
    }
    assert.deepStrictEqual(plainProject(project), project)
  })

  for (const [name, project] of [
    ["a variable that controls the loader", { secrets: [{ name: "a", env_var: "LD_PRELOAD" }] }],
    [
      "a variable twice",
      {
        secrets: [
          { name: "a", env_var: "A" },
          { name: "b", env_var: "A" }
        ]
      }
    ],
    ["a TTL of nothing", { secrets: [], ttl: "0s" }],
    ["a misspelled key", { secrets: [{ name: "a", env_var: "A", tll: "1h" }] }],
    ["routes", { secrets: [], proxy: ["github"] }],
    ["a Vercel project", { source: "vercel", project: "p", scope: "preview", ttl: "1h" }],
    ["a list", []]
  ] as const) {
    it(`leaves ${name} to the schema`, () => assert.isUndefined(plainProject(project)))
  }

  it("agrees with the schema on all that it reads", () => {
    const { below, pick } = randomFrom(41)
    const texts = ["a", "db", "API_KEY", "PATH", "1x", "", "é", "\n", "1h", "90m", "000s", "999h", "x".repeat(300)]
    const values: ReadonlyArray<unknown> = [...texts, 5, null, {}, ["a"], true]
    const some = <A>(most: number, one: () => A) => Array.from({ length: below(most) }, one)
    const members = (names: ReadonlyArray<string>) =>
      Object.fromEntries(some(4, () => [pick(names), pick(below(8) === 0 ? values : texts)]))
    let plain = 0
    for (let n = 0; n < 6000; n += 1) {
      const secret = () =>
        below(20) === 0
          ? pick(values)
          : { name: "db", env_var: pick(["A", "B", "C", "D"]), ...members(["name", "env_var", "ttl", "more"]) }
      const project = {
        ...members(["client_id", "ttl", "$schema", "proxy", "source", "__proto__"]),
        ...(below(20) > 0 && { secrets: below(20) === 0 ? pick(values) : some(4, secret) })
      }
      const found = plainProject(project)
      if (found === undefined) continue
      plain += 1
      const decoded = readProjectFile(JSON.stringify(project))
      assert.deepStrictEqual(Result.getOrUndefined(decoded), found, JSON.stringify(project))
    }
    assert.isAbove(plain, 200)
  })
})
