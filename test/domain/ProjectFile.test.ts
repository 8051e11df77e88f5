/**
 * `.secrets.json` is read strictly, and what is wrong is told with its place.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import { projectSchema, schemaFile } from "../../scripts/schemas.ts"
import { closestMatch } from "../../src/domain/closestMatch.ts"
import { readProjectFile } from "../../src/domain/ProjectFile.ts"
import { variableFor, variableProblem } from "../../src/domain/variable.ts"

const wrong = (content: unknown): ReadonlyArray<string> => {
  const read = readProjectFile(typeof content === "string" ? content : JSON.stringify(content))
  assert.isTrue(Result.isFailure(read))
  return Result.isFailure(read) ? read.failure : []
}

describe("a project file", () => {
  it("is read in both of its forms", () => {
    for (const content of [
      { secrets: [] },
      {
        $schema: "docs/secrets.schema.json",
        secrets: [{ name: "github token", env_var: "GH_TOKEN", ttl: "1h30m" }],
        client_id: "deploy",
        ttl: "30m"
      },
      { source: "vercel", project: "site", scope: "preview", ttl: "1h", required_vars: ["A"], env_file: ".env.x" }
    ]) {
      assert.deepStrictEqual(readProjectFile(JSON.stringify(content)), Result.succeed(content as any))
    }
  })

  const one = { name: "a", env_var: "A" }
  for (const [title, content, expected] of [
    ["no JSON", "{", ["it is not JSON"]],
    ["no object", "[]", ["it must hold a JSON object"]],
    [
      "a key that is not known",
      { secrets: [], clientid: "x" },
      ["clientid: there is no such key; is client_id meant?"]
    ],
    ["a key that is like none", { secrets: [], colour: 1 }, ["colour: there is no such key"]],
    [
      "an unknown key of a secret",
      { secrets: [{ ...one, tll: "1h" }] },
      ["secrets[0].tll: there is no such key; is ttl meant?"]
    ],
    ["a secret without a name", { secrets: [{ env_var: "A" }] }, ["secrets[0].name: is missing"]],
    ["an empty name", { secrets: [{ name: "", env_var: "A" }] }, ["secrets[0].name: must not be empty"]],
    [
      "a variable no shell has",
      { secrets: [{ name: "a", env_var: "A-B" }] },
      ["secrets[0].env_var: must be the name of a variable"]
    ],
    [
      "two secrets for one variable",
      { secrets: [one, { name: "b", env_var: "A" }] },
      ["secrets[1].env_var: secrets[0] has A already"]
    ],
    [
      "a duration of nothing",
      { secrets: [], ttl: "0s" },
      ['ttl: must be a duration above 0, such as "30m" or "1h30m"']
    ],
    [
      "no duration",
      { secrets: [{ ...one, ttl: "soon" }] },
      ['secrets[0].ttl: must be a duration above 0, such as "30m" or "1h30m"']
    ],
    ["another source", { source: "doppler", project: "x", scope: "preview", ttl: "1h" }, ['source: must be "vercel"']],
    [
      "another scope",
      { source: "vercel", project: "x", scope: "dev", ttl: "1h" },
      ['scope: must be "development" or "preview" or "production"']
    ]
  ] as const) {
    it(`with ${title} is refused`, () => assert.deepStrictEqual(wrong(content), expected))
  }

  it("may not put a secret where it decides what runs", () => {
    for (const name of [
      "PATH",
      "LD_PRELOAD",
      "DYLD_INSERT_LIBRARIES",
      "NODE_OPTIONS",
      "BASH_ENV",
      "GIT_SSH_COMMAND",
      "path"
    ]) {
      assert.match(
        wrong({ secrets: [{ name: "a", env_var: name }] })[0] ?? "",
        /^secrets\[0\]\.env_var: \w+ decides which/
      )
    }
    assert.isUndefined(variableProblem("DATABASE_URL"))
  })

  it("does not have its contents quoted in what is told of it", () => {
    const told = wrong({
      secrets: [{ name: 1, env_var: "s3cr3t value", ttl: "s3cr3t" }],
      client_id: ["s3cr3t"],
      ttl: "s3cr3t"
    })
    assert.lengthOf(told, 5)
    assert.notInclude(told.join(), "s3cr3t")
  })

  it("has a JSON Schema that says the same", () => {
    assert.strictEqual(fs.readFileSync(schemaFile, "utf8"), projectSchema(), "npm run docs")
  })
})

describe("a word that is not known", () => {
  it("is taken for the nearest one, if there is one near", () => {
    const words = ["status", "lease", "list", "env"]
    assert.deepStrictEqual(
      ["statsu", "leese", "lst", "LIST", "xyz", "environment"].map((word) => closestMatch(word, words)),
      ["status", "lease", "list", "list", undefined, undefined]
    )
  })
})

describe("a secret without a variable", () => {
  it("gets the one of its name", () => {
    assert.deepStrictEqual(["github_token", "a-b.c"].map(variableFor), ["GITHUB_TOKEN", "A_B_C"])
  })
})
