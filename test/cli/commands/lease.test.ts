/**
 * What `secrets lease` sends, and which durations it rejects itself.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
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

  it.each([
    ["5", "--ttl has no unit"],
    ["soon", "--ttl must be a duration"],
    ["1h30", "--ttl must be a duration"],
    ["5m x", "--ttl must be a duration"]
  ])("rejects %s with status 2: %s", (ttl, message) => {
    assert.deepInclude(requestsFor(`--ttl=${ttl}`), { message, exitStatus: 2 })
  })

  it.each(["", "10m", "0.5s", "0h30m", "1ns", ".1s", "+5m", "1h30m"])("leaves %j to the daemon", (ttl) => {
    assert.deepStrictEqual(requestsFor(`--ttl=${ttl}`), [
      { method: "secrets.lease", params: { secret_name: "db", client_id: "c", ttl } }
    ])
  })
})

describe("the client id of secrets lease", () => {
  it("is that of --client-id, of config.json, or the host name", () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "config-"))
    try {
      const config = path.join(directory, "config.json")
      fs.writeFileSync(config, '{"client_id":"mine"}')
      const clientIdIn = (...words: ReadonlyArray<string>) => {
        const parsed = parseArguments(leaseCommand, ["db", ...words])
        const requests = parsed.kind === "run" ? leaseCommand.requests(parsed.args) : undefined
        if (requests === undefined || isProblem(requests)) return requests
        return requests.map(({ params }) => ("client_id" in params ? params.client_id : undefined))
      }
      assert.deepStrictEqual(clientIdIn("--config", config, "--client-id", "c"), ["c"])
      assert.deepStrictEqual(clientIdIn("--config", config), ["mine"])
      fs.writeFileSync(config, "{}")
      assert.deepStrictEqual(clientIdIn("--config", config), [os.hostname()])
      fs.writeFileSync(config, '{"client_id":7}')
      assert.deepInclude(clientIdIn("--config", config), { exitStatus: 78 })
    } finally {
      fs.rmSync(directory, { recursive: true })
    }
  })
})
