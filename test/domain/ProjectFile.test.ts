/**
 * `.secrets.json` is decoded strictly, and problems are reported with their path.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import { projectSchema, schemaFile } from "../../scripts/schemas.ts"
import { closestMatch } from "../../src/domain/closestMatch.ts"
import { readProjectFile } from "../../src/domain/ProjectFile.ts"
import { variableFor, variableProblem } from "../../src/domain/envFile.ts"

const wrong = (content: unknown): ReadonlyArray<string> => {
  const read = readProjectFile(typeof content === "string" ? content : JSON.stringify(content))
  assert.isTrue(Result.isFailure(read))
  return Result.isFailure(read) ? read.failure : []
}

describe("a project file", () => {
  it("is decoded for the store and for Vercel", () => {
    for (const content of [
      { secrets: [] },
      {
        $schema: "docs/secrets.schema.json",
        secrets: [{ name: "github token", env_var: "GH_TOKEN", ttl: "1h30m" }],
        client_id: "deploy",
        ttl: "30m"
      },
      { source: "vercel", project: "site", scope: "preview", ttl: "1h", required_vars: ["A"], env_file: ".env.x" },
      { source: "vercel", project: "site", scope: "preview", ttl: "1h", env_file: "a/..b/.env" },
      { proxy: ["github", { route: "git", methods: ["GET"], paths: ["/me/**"], deny: ["/me/x/**"] }] },
      { secrets: [], proxy: [] }
    ]) {
      assert.deepStrictEqual(readProjectFile(JSON.stringify(content)), Result.succeed(content as any))
    }
  })

  it("may have a byte order mark and other line ends, and be named in another encoding", () => {
    const text = '\ufeff{\r\n "secrets": [],\r\n "ttl": "1d"}\r\n'
    assert.deepStrictEqual(readProjectFile(Buffer.from(text)), Result.succeed({ secrets: [], ttl: "1d" }))
    const failure = Result.fail(["the file is UTF-16 or UTF-32, not UTF-8"])
    for (const other of [text, text.slice(1)])
      assert.deepStrictEqual(readProjectFile(Buffer.from(other, "utf16le")), failure)
  })

  const one = { name: "a", env_var: "A" }
  for (const [title, content, expected] of [
    ["no JSON", "{", ["the file is not JSON (line 1 column 2)"]],
    ["no object", "[]", ["the file must be a JSON object"]],
    ["a misspelled key", { secrets: [], clientid: "x" }, ["clientid: unknown key; did you mean client_id?"]],
    ["an unknown key", { secrets: [], colour: 1 }, ["colour: unknown key"]],
    [
      "a misspelled key of a secret",
      { secrets: [{ ...one, tll: "1h" }] },
      ["secrets[0].tll: unknown key; did you mean ttl?"]
    ],
    ["a secret without a name", { secrets: [{ env_var: "A" }] }, ["secrets[0].name: is missing"]],
    [
      "a client id that fills the screen",
      { secrets: [], client_id: "x".repeat(257) },
      ["client_id: must have at most 256 characters"]
    ],
    ["an empty name", { secrets: [{ name: "", env_var: "A" }] }, ["secrets[0].name: must not be empty"]],
    [
      "an invalid variable name",
      { secrets: [{ name: "a", env_var: "A-B" }] },
      ["secrets[0].env_var: must be the name of an environment variable"]
    ],
    [
      "two secrets for one variable",
      { secrets: [one, { name: "b", env_var: "A" }] },
      ["secrets[1].env_var: A is used by secrets[0] already"]
    ],
    [
      "a route that would say where a secret goes",
      { proxy: [{ route: "git", upstream: "https://evil.example", secret: "a" }] },
      ["proxy[0].upstream: unknown key", "proxy[0].secret: unknown key"]
    ],
    [
      "two entries for one route",
      { proxy: ["git", { route: "git", paths: ["/**"] }] },
      ["proxy[1]: git is named by proxy[0] already"]
    ],
    ["a route without a name", { proxy: [""] }, ["proxy[0]: must not be empty"]],
    ["a limit that is no list", { proxy: [{ route: "git", paths: "/**" }] }, ["proxy[0].paths: must be array"]],
    ["neither secrets nor routes", { ttl: "1h" }, ["secrets: is missing"]],
    ["a duration of zero", { secrets: [], ttl: "0s" }, ['ttl: must be a positive duration, such as "30m" or "1h30m"']],
    [
      "an invalid duration",
      { secrets: [{ ...one, ttl: "soon" }] },
      ['secrets[0].ttl: must be a positive duration, such as "30m" or "1h30m"']
    ],
    ["another source", { source: "doppler", project: "x", scope: "preview", ttl: "1h" }, ['source: must be "vercel"']],
    ...["/etc/cron.d/x", "../.npmrc", "..", "a/../../b", "a/..", "x\0", ""].map(
      (env_file) =>
        [
          `an env file outside of the project: ${JSON.stringify(env_file)}`,
          { source: "vercel", project: "x", scope: "preview", ttl: "1h", env_file },
          ["env_file: must be a relative path without .."]
        ] as const
    ),
    [
      "an unknown scope",
      { source: "vercel", project: "x", scope: "dev", ttl: "1h" },
      ['scope: must be "development" or "preview" or "production"']
    ]
  ] as const) {
    it(`is rejected with ${title}`, () => assert.deepStrictEqual(wrong(content), expected))
  }

  it("may not put a secret into a variable that controls what runs", () => {
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
        /^secrets\[0\]\.env_var: \w+ controls which/
      )
    }
    assert.isUndefined(variableProblem("DATABASE_URL"))
  })

  it("is not quoted in the reported problems", () => {
    const problems = wrong({
      secrets: [{ name: 1, env_var: "s3cr3t value", ttl: "s3cr3t" }],
      client_id: ["s3cr3t"],
      ttl: "s3cr3t"
    })
    assert.lengthOf(problems, 5)
    assert.notInclude(problems.join(), "s3cr3t")
  })

  it("agrees with its JSON Schema", () => {
    assert.strictEqual(fs.readFileSync(schemaFile, "utf8"), projectSchema(), "npm run docs")
  })
})

describe("an unknown word", () => {
  it("has the closest word as its match, if one is close", () => {
    const words = ["status", "lease", "list", "env"]
    assert.deepStrictEqual(
      ["statsu", "leese", "lst", "LIST", "xyz", "environment"].map((word) => closestMatch(word, words)),
      ["status", "lease", "list", "list", undefined, undefined]
    )
  })
})

describe("the default variable", () => {
  it("is the name of the secret in upper case", () => {
    assert.deepStrictEqual(["github_token", "a-b.c"].map(variableFor), ["GITHUB_TOKEN", "A_B_C"])
  })
})
