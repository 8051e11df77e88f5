/**
 * secrets status beside a daemon of another version.
 */
import { assert, describe, it } from "@effect/vitest"
import { statusCommand } from "../../../../src/cli/commands/status/status.ts"
import { build, version } from "../../../../src/version.ts"

const found = { running: true, started_at: "2026-11-30T00:00:00Z", secrets_count: 1, active_leases: 0 }
const diagnostics = {
  pid: 7,
  version,
  build,
  uptime_ms: 1000,
  leases: { expired: 0, unreadable: 0, capacity: 1 },
  audit: { entries: 1, size: 1, archives: 0 },
  sinks: []
}
const args = { positionals: [], flag: () => false, option: () => undefined, options: () => [] }

/** The line about the version of the command. */
const said = (more: object | undefined) =>
  statusCommand.render([found, more], { args, socketPath: "/s" })?.lines?.filter((line) => line.startsWith("command"))

describe("secrets status", () => {
  it("says that the daemon is of another version or build, and how to change that", () => {
    const line = `command       version ${version} (build ${build}); restart the daemon to serve with it`
    for (const other of [{ version: "0.9.0" }, { build: "another" }])
      assert.deepStrictEqual(said({ ...diagnostics, ...other }), [line])
    assert.deepStrictEqual(said(undefined), [line.replace(")", "); the daemon is older")])
  })

  it("says nothing of it beside the same version, and on a socket that does not report one", () => {
    assert.deepStrictEqual(said(diagnostics), [])
    assert.deepStrictEqual(said({ role: "lease" }), [])
  })
})
