/** The section `team`: what it accepts, and what it rejects because a machine would be less safe than it says. */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { decodeConfig } from "../../src/domain/Config.ts"
import { databaseProblem } from "../../src/domain/TeamConfig.ts"

const base = { name: "m1", url: "postgres://as_m1@localhost/secrets" }
const refusal = (team: object) =>
  Result.getOrThrow(Result.flip(decodeConfig(JSON.stringify({ team: { ...base, ...team } }), "/home/a"))).message

describe("the section team", () => {
  it("has paths below the home directory, and defaults", () => {
    const read = decodeConfig(
      JSON.stringify({
        team: { ...base, url: `${base.url}?sslmode=verify-full`, password_file: "~/p", ca: "/etc/ca" }
      }),
      "/home/a"
    )
    const { team } = Result.getOrThrow(read).config
    assert.deepInclude(team, {
      name: "m1",
      password_file: "/home/a/p",
      ca: "/etc/ca",
      offline: "refuse",
      prepare: true,
      accept_loss: false
    })
  })

  it.each([
    ["postgres://as_m1@localhost/secrets", undefined],
    ["postgres://as_m1@127.0.0.1:5433/secrets", undefined],
    ["postgres://as_m1@localhost/secrets?host=/run/postgresql", undefined],
    ["postgres://as_m1@db.example.org/secrets?sslmode=verify-full", undefined],
    ["postgres://as_m1@db.example.org/secrets", /must have sslmode=verify-full/],
    ["postgres://as_m1@db.example.org/secrets?sslmode=require", /must have sslmode=verify-full/],
    ["postgres://as_m1@localhost/secrets?host=db.example.org", /must have sslmode=verify-full/],
    ["postgres://as_m1@localhost/secrets?sslmode=disable", /must not weaken sslmode/],
    ["postgres://as_m1:made-up@localhost/secrets", /must not hold a password/],
    ["postgres://as_m1@localhost/secrets?sslrootcert=/ca", /must not have the parameter sslrootcert/],
    ["postgres://localhost/secrets", /must name the role and the database/],
    ["postgres://as_m1@localhost", /must name the role and the database/],
    ["postgres://as_m1@db.example.org/secrets?sslmode=Verify-Full", /must have sslmode=verify-full/],
    ["postgres://as_m1@db.example.org/secrets?sslmode=verify-ca", /must have sslmode=verify-full/],
    ["postgres://as_m1@db.example.org/secrets?SSLMODE=verify-full", /must not have the parameter SSLMODE/],
    ["postgres://as_m1@db.example.org/secrets?ssl=true", /must not have the parameter ssl$/],
    ["postgres://as_m1@db.example.org/secrets?sslmode=verify-full&sslmode=disable", /the parameter sslmode once/],
    ["postgres://as_m1@db.example.org/s?sslmode=verify-full&password=made-up", /must not have the parameter password$/],
    [
      "postgres://as_m1@localhost/s?host=db.example.org&sslmode=verify-full",
      /must have a directory as the parameter host/
    ],
    ["postgres://as_m1@localhost/s?host=&sslmode=verify-full", /must have a directory as the parameter host/],
    ["postgres://as_m1@localhost/s?host=/run&host=db.example.org", /the parameter host once/],
    ["postgres://as_m1@localhost/s?host=/run&sslmode=verify-full", /must not have sslmode for a Unix socket/],
    ["postgres://as_m1@localhost@db.example.org/s", /must have sslmode=verify-full/],
    ["postgres://as_m1@LOCALHOST.example.org/s", /must have sslmode=verify-full/],
    ["postgres://as_m1@0.0.0.0/s", /must have sslmode=verify-full/],
    ["postgres://as_m1@a,b/s?sslmode=verify-full", /must name one server/],
    ["postgres://as_m1%zz@localhost/s", /must have valid escapes/],
    ["postgres://as_m1%00database%00x@localhost/s", /must have valid escapes/]
  ])("judges the address %s", (url, problem) => {
    if (problem === undefined) assert.isUndefined(databaseProblem(url))
    else assert.match(databaseProblem(url) ?? "", problem)
  })

  it.each([
    [{ cutoff: "15s" }, "config: team.cutoff is not supported by this version"],
    [{ offline_grace: "60s" }, "config: team.offline_grace is not supported by this version"],
    [{ listen: true }, "config: team.listen is not supported by this version"],
    [{ offline: "repeat" }, "config: team.offline must be refuse"],
    [{ machines: [] }, "config: team.machines is no setting: machines are added with secrets team add"],
    [{ cert: "/c" }, "config: team.cert and team.key are required together"],
    [{ ca: "/c" }, "config: team.ca has no effect without sslmode=verify-full in team.url"],
    [{ cert: "/c", key: "/k" }, "config: team.cert has no effect without sslmode=verify-full in team.url"],
    [
      { url: "postgres://as_m1@db.example.org/s?sslmode=verify-full" },
      "config: team.password_file, or team.cert and team.key, are required, because the server is not on this machine"
    ]
  ])("rejects %j", (given, reason) => {
    assert.include(refusal(given), reason)
  })

  it("repeats no password of an address that it rejects", () => {
    assert.notInclude(refusal({ url: "postgres://as_m1:made-up@localhost/secrets" }), "made-up")
  })
})
