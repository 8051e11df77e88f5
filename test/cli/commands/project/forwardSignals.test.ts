/**
 * Which signals the program of `exec` gets, and which stay ignored.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { ignoring, isForegroundGroup, takeIgnoredSignals } from "../../../../src/cli/commands/project/forwardSignals.ts"
import { ignoredIn } from "../../../../src/process/keepIgnoredSignals.ts"

describe("a signal of the terminal", () => {
  it("reaches the foreground group alone", () => {
    assert.isTrue(isForegroundGroup("7 (node) S 1 7 5 34816 7 4194304 0"))
    assert.isFalse(isForegroundGroup("7 (node) S 1 7 5 34816 5 4194304 0"))
    assert.isFalse(isForegroundGroup("7 (a) S 9 (b\n) S 1 7 5 34816 5 4194304 0"))
  })
})

describe("an ignored signal", () => {
  it("is taken from the launcher, and its variable from the program", () => {
    const before = process.listeners("SIGALRM")
    process.env["AGENT_SECRETS_IGNORED_SIGNALS"] = "ALRM NONSENSE "
    try {
      assert.deepStrictEqual(takeIgnoredSignals(), ["SIGALRM"])
      assert.isUndefined(process.env["AGENT_SECRETS_IGNORED_SIGNALS"])
      assert.deepStrictEqual(takeIgnoredSignals(), [])
    } finally {
      process.removeAllListeners("SIGALRM")
      for (const listener of before) process.on("SIGALRM", listener)
    }
  })

  it("is seen in the status of a process, unless the runtime ignores it itself", () => {
    assert.deepStrictEqual(ignoredIn("SigBlk:\t00\nSigIgn:\t0000000001001007\nSigCgt:\t0000000108026e27\n"), [
      "HUP",
      "INT",
      "QUIT"
    ])
    assert.deepStrictEqual(ignoredIn("Name:\tx\n"), [])
  })

  it("stays ignored for the program, whose arguments and status are kept", () => {
    const script = 'kill -HUP $$; kill -QUIT $$; printf "%s|" "$@"; exit 4'
    const [command, ...args] = ignoring(["SIGHUP", "SIGQUIT"], ["sh", "-c", script, "name", "a b", "", "'$x'"])
    const { status, stdout } = spawnSync(command, args, { encoding: "utf8" })
    assert.deepStrictEqual([status, stdout], [4, "a b||'$x'|"])
    assert.deepStrictEqual(ignoring([], ["true"]), ["true"])
  })
})
