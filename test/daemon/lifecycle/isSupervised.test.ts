/**
 * The evidence of a supervisor: the environment of systemd and launchd, or a parent that starts
 * the daemon again.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { isSupervised, startedBy } from "../../../src/daemon/lifecycle/isSupervised.ts"
import { hasControllingTerminal } from "../../../src/process/controllingTerminal.ts"
import { hasProc } from "../../support/inside.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const none = { listeners: [], notifySocket: undefined, watchdogMillis: undefined }
const alone = { environment: {}, supervision: none, pid: 2 ** 30, parent: 2 ** 30 }

describe("supervision", () => {
  it("is known from systemd and launchd, and not from a terminal that either started", () => {
    assert.isFalse(isSupervised(alone))
    assert.isTrue(isSupervised({ ...alone, supervision: { ...none, notifySocket: "/run/n" } }))
    assert.isTrue(isSupervised({ ...alone, supervision: { ...none, listeners: [3] } }))
    for (const [environment, expected] of [
      [{ SYSTEMD_EXEC_PID: `${alone.pid}` }, true],
      [{ SYSTEMD_EXEC_PID: "1" }, false],
      [{ XPC_SERVICE_NAME: "com.example.agent-secrets" }, true],
      [{ XPC_SERVICE_NAME: "application.com.apple.Terminal" }, false],
      [{ XPC_SERVICE_NAME: "0" }, false],
      [{ INVOCATION_ID: "1" }, false]
    ] as const) {
      assert.strictEqual(isSupervised({ ...alone, environment }), expected, JSON.stringify(environment))
    }
  })

  /** Starts a shell whose child prints its pid and waits for its input to end. */
  const childOf = (args: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const shell = yield* Effect.acquireRelease(
        Effect.sync((): ChildProcess => spawn("sh", args, { stdio: ["pipe", "pipe", "ignore"], detached: true })),
        (child) => Effect.sync(() => process.kill(-(child.pid ?? 0), "SIGKILL"))
      )
      const printed = yield* Effect.promise(
        () => new Promise<string>((resolve) => shell.stdout?.once("data", (text) => resolve(String(text))))
      )
      return { ...alone, pid: Number(printed), parent: shell.pid ?? 0 }
    })

  const program = `sh -c 'echo $$; exec cat'`

  it.live("is missing where a shell runs the daemon once, as for a person", () =>
    Effect.gen(function* () {
      if (!hasProc) return
      assert.strictEqual(startedBy(yield* childOf(["-c", `${program}; true`])), "hand")
      assert.strictEqual(startedBy(yield* childOf(["-c", `while :; do ${program}; sleep 1; done`])), "supervisor")
      // Nobody would start it again, although the script is not where its name says.
      const script = path.join(yield* temporaryDirectory, "start.sh")
      fs.writeFileSync(script, `cd /; ${program}; true\n`)
      assert.strictEqual(startedBy(yield* childOf(["-c", 'cd "$0" && exec sh start.sh', path.dirname(script)])), "hand")
      // Several children in a loop: nothing is known, unless these tests have a terminal.
      const unknown = startedBy(yield* childOf(["-c", `sleep 60 & while :; do ${program}; done`]))
      assert.strictEqual(unknown, hasControllingTerminal() ? "hand" : "unknown")
    })
  )

  it.live("is that of a shell in a loop that waits for this process alone", () =>
    Effect.gen(function* () {
      if (!hasProc) return
      assert.isTrue(isSupervised(yield* childOf(["-c", `while :; do ${program}; sleep 1; done`])))
      const script = path.join(yield* temporaryDirectory, "run.sh")
      fs.writeFileSync(script, `until ${program}\ndo sleep 1; done\n`)
      assert.isTrue(isSupervised(yield* childOf([script])))
      assert.isFalse(isSupervised(yield* childOf(["-c", `${program}; true`])))
      assert.isFalse(isSupervised(yield* childOf(["-c", `sleep 60 & while :; do ${program}; done`])))
    })
  )
})
