/** The section `team`: what it accepts, and what it rejects because a machine would be less safe than it says. */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { decodeConfig } from "../../src/domain/Config.ts"
import { databaseProblem } from "../../src/domain/TeamConfig.ts"

const base = { name: "m1", url: "postgres://as_m1@localhost/secrets" }
const machine = (name: string) => ({ name, recipient: `age1${"q".repeat(58)}`, key: `${"A".repeat(43)}=` })
const refusal = (team: object) =>
  Result.getOrThrow(Result.flip(decodeConfig(JSON.stringify({ team: { ...base, ...team } }), "/home/a"))).message

describe("the section team", () => {
  it("has paths below the home directory, and defaults", () => {
    const read = decodeConfig(JSON.stringify({ team: { ...base, password_file: "~/p", ca: "/etc/ca" } }), "/home/a")
    const { team } = Result.getOrThrow(read).config
    assert.deepInclude(team, {
      name: "m1",
      password_file: "/home/a/p",
      ca: "/etc/ca",
      offline: "refuse",
      prepare: true
    })
    assert.deepStrictEqual(team?.machines, [])
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
    ["postgres://as_m1@localhost", /must name the role and the database/]
  ])("judges the address %s", (url, problem) => {
    if (problem === undefined) assert.isUndefined(databaseProblem(url))
    else assert.match(databaseProblem(url) ?? "", problem)
  })

  it.each([
    [{ cutoff: "15s" }, "config: team.cutoff is not supported by this version"],
    [{ offline_grace: "60s" }, "config: team.offline_grace is not supported by this version"],
    [{ listen: true }, "config: team.listen is not supported by this version"],
    [{ accept_loss: true }, "config: team.accept_loss is not supported by this version"],
    [{ offline: "repeat" }, "config: team.offline must be refuse"],
    [{ machines: [machine("a"), machine("a")] }, "config: team.machines must not name a twice"],
    [{ cert: "/c" }, "config: team.cert and team.key are required together"]
  ])("rejects %j", (given, reason) => {
    assert.include(refusal(given), reason)
  })

  it("repeats no password of an address that it rejects", () => {
    assert.notInclude(refusal({ url: "postgres://as_m1:made-up@localhost/secrets" }), "made-up")
  })
})
