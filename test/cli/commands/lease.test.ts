/**
 * What `secrets lease` sends, and which durations it rejects itself.
 */
import { assert, describe, it } from "@effect/vitest"
import { isProblem } from "../../../src/cli/command/QueryCommand.ts"
import { parseArguments } from "../../../src/cli/command/Command.ts"
import { leaseCommand } from "../../../src/cli/commands/lease.ts"

const requestsFor = (...words: ReadonlyArray<string>) => {
  const parsed = parseArguments(leaseCommand, ["db", "--client-id", "c", ...words])
  return parsed.kind === "run" ? leaseCommand.requests(parsed.args) : undefined
}

describe("secrets lease --ttl", () => {
  it.each(["0", "0s", "-0", "+0m", "0.0h", "0h0m0s", "-5m", "-1h30m", "-.5s"])("rejects %s with status 2", (ttl) => {
    const found = requestsFor(`--ttl=${ttl}`)
    assert.isTrue(found !== undefined && isProblem(found), ttl)
    assert.deepInclude(found, { message: "--ttl must be a duration above 0", exitStatus: 2 })
  })

  it.each(["", "10m", "0.5s", "0h30m", "1ns", ".1s", "+5m", "soon"])("leaves %j to the daemon", (ttl) => {
    assert.deepStrictEqual(requestsFor(`--ttl=${ttl}`), [
      { method: "secrets.lease", params: { secret_name: "db", client_id: "c", ttl } }
    ])
  })
})
