/**
 * Who a client is, and what it may use: config.json allows, the flags narrow.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  allowanceIn,
  clientIdOf,
  isInside,
  type McpSession,
  permitsName
} from "../../../../src/cli/commands/mcp/session.ts"
import { decodeConfig } from "../../../../src/domain/Config.ts"
import * as Result from "effect/Result"

const settingsOf = (mcp: object) => Result.getOrThrow(decodeConfig(JSON.stringify({ mcp }), "/home/me")).config.mcp
const session = (more: Partial<McpSession> = {}): McpSession => ({
  args: { option: () => undefined } as never,
  settings: settingsOf({}),
  project: "/p",
  clientId: undefined,
  secrets: [],
  tools: [],
  nextRun: () => 1,
  ...more
})

describe("a client", () => {
  it.each([
    ["Claude Code (beta)", "Claude-Code-beta-"],
    ["../x\u0000/y", "..-x-y"],
    ["x".repeat(99), "x".repeat(40)],
    ["", "mcp"],
    [undefined, "mcp"]
  ])("that calls itself %j is %j", (name, id) => {
    assert.strictEqual(clientIdOf(session(), name), id)
  })

  it("is the one that a flag names", () => {
    assert.strictEqual(clientIdOf(session({ clientId: "ci" }), "x"), "ci")
  })

  it("gets the lists of the first glob that matches, and the general ones for what that leaves out", () => {
    const settings = settingsOf({
      commands: ["gh"],
      clients: { "codex*": { commands: [] }, "*": { tools: ["list_secrets"], commands: ["git"] } }
    })
    assert.deepStrictEqual(allowanceIn(session({ settings }), "codex-1").commands, [])
    assert.deepStrictEqual(allowanceIn(session({ settings }), "codex-1").tools, settings.tools)
    assert.deepStrictEqual(allowanceIn(session({ settings }), "x"), { tools: ["list_secrets"], commands: ["git"] })
  })

  it("gets no tool that only a flag names, and no secret that no glob of a flag matches", () => {
    const narrowed = session({ tools: ["search_audit", "list_leases"], secrets: ["a*", "b"] })
    assert.deepStrictEqual(allowanceIn(narrowed, "x").tools, ["list_leases"])
    assert.deepStrictEqual(
      ["a", "ab", "b", "bc", ""].map((name) => permitsName(narrowed, name)),
      [true, true, true, false, false]
    )
  })
})

describe("isInside", () => {
  it.each([
    ["/p", "/p", true],
    ["/p", "/p/a/b", true],
    ["/p", "/p/..a", true],
    ["/p", "/pq", false],
    ["/p", "/", false],
    ["/p", "/q/p", false],
    ["/", "/x", true]
  ])("is for %s and %s: %s", (directory, file, expected) => {
    assert.strictEqual(isInside(directory, file), expected)
  })
})
