/** What a person is told when the database fails: with the address of a machine, and with that of an administrator. */
import { assert, describe, it } from "vitest"
import { databaseFailed } from "../../../../src/cli/commands/team/teamProblems.ts"
import { StartError } from "../../../../src/daemon/files/fileLock.ts"
import { WireError } from "../../../../src/daemon/team/TeamWire.ts"

describe("a failure of the team's database", () => {
  it.each([
    [undefined, "connect ECONNREFUSED 127.0.0.1:5432", "team.url", "--admin-url"],
    [undefined, "The server requested password authentication", "team.password_file", "PGPASSWORD"],
    ["28P01", "password authentication failed", "team.password_file", "PGPASSWORD"],
    ["28000", "no such role", "team.password_file", "PGPASSWORD"],
    ["3D000", "no such database", "team.url", "Create the database"],
    ["3F000", "no schema", "team.url", "secrets team init"],
    ["42501", "permission denied", "secrets team add", "may create roles"],
    ["AS001", "the role is no machine's", "secrets team status", "secrets team status"],
    ["53100", "disk full", "administrator", "administrator"]
  ])("is reported with what to do: %s %s", (code, reason, forMachine, forAdmin) => {
    const error = new WireError({ reason, code })
    const [machine, admin] = [databaseFailed("it failed")(error), databaseFailed("it failed", true)(error)]
    assert.deepStrictEqual([machine.message, machine.why, machine.exitStatus], ["it failed", reason, 3])
    assert.include(machine.fix, forMachine)
    assert.include(admin.fix, forAdmin)
  })

  it("is reported with the file that is wrong", () => {
    const error = new StartError({ reason: "its mode must be 0600", fix: "Correct the file", exitStatus: 78 })
    const { exitStatus, fix, why } = databaseFailed("it failed")(error)
    assert.deepStrictEqual([exitStatus, fix, why], [78, "Correct the file", "its mode must be 0600"])
  })
})
