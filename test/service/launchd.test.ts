/**
 * The property list that a Mac user loads: well-formed, and saying what it must.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import plist from "plist"

const folder = path.resolve(import.meta.dirname, "../../launchd")
const label = "dev.agent-secrets.daemon"

const filledIn = (home: string): any =>
  plist.parse(fs.readFileSync(path.join(folder, `${label}.plist`), "utf8").replaceAll("/Users/YOU", home))

describe("the LaunchAgent", () => {
  it("keeps the daemon alive, without a hot loop, and gives it time to end", () => {
    const job = filledIn("/Users/me")
    assert.deepInclude(job, { Label: label, RunAtLoad: true, KeepAlive: true, ThrottleInterval: 10, ExitTimeOut: 5 })
  })

  it("runs serve with a runtime that opens no debugger, in an environment of its own", () => {
    const job = filledIn("/Users/me")
    assert.deepStrictEqual(job.ProgramArguments, [
      "/usr/bin/env",
      "node",
      "--disable-sigusr1",
      "/Users/me/.local/bin/secrets",
      "serve"
    ])
    assert.strictEqual(job.EnvironmentVariables.HOME, "/Users/me")
    assert.strictEqual(job.EnvironmentVariables.NODE_OPTIONS, "")
    for (const directory of ["/opt/homebrew/bin", "/usr/local/bin", "/usr/bin", "/Users/me/.bun/bin"]) {
      assert.include(job.EnvironmentVariables.PATH.split(":"), directory)
    }
  })

  it("writes no core, makes nothing for others, and logs below the home directory", () => {
    const job = filledIn("/Users/me")
    assert.strictEqual(job.HardResourceLimits.Core, 0)
    assert.strictEqual(job.SoftResourceLimits.Core, 0)
    assert.strictEqual(job.Umask, 0o077)
    assert.strictEqual(job.StandardErrorPath, "/Users/me/Library/Logs/agent-secrets.log")
    assert.strictEqual(job.StandardOutPath, "/Users/me/Library/Logs/agent-secrets.log")
  })

  it("names no home directory but the placeholder that the README fills in", () => {
    const text = fs.readFileSync(path.join(folder, `${label}.plist`), "utf8")
    assert.deepStrictEqual(new Set(text.match(/\/(?:Users|home)\/\w+/g)), new Set(["/Users/YOU"]))
    assert.include(fs.readFileSync(path.join(folder, "README.md"), "utf8"), 'sed "s|/Users/YOU|$HOME|g"')
  })
})
