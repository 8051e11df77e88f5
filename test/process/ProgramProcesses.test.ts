/**
 * Which processes of a program a stop reaches: its group, and what it has started outside of it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { ProgramProcesses } from "../../src/process/ProgramProcesses.ts"
import { until } from "../support/waiting.ts"

const waiting = "(sleep 60 & echo $!; wait) & $(command -v setsid) sleep 60 & echo $!; wait"
/** The shell between has exited when the first number is printed. */
const daemon = "$(command -v setsid) sh -c 'sleep 60 >/dev/null & echo $!'"

/** Starts a shell that starts `sleep` twice, once in a session of its own where there is setsid(1), and prints their numbers. */
const startFamily = (detached: boolean, script = waiting) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const TEST_PROGRAM = randomUUID()
      const env = { ...process.env, TEST_PROGRAM }
      const child = spawn("sh", ["-c", script], { detached, env, stdio: ["ignore", "pipe", "ignore"] })
      let shown = ""
      child.stdout.on("data", (piece) => (shown += piece))
      const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()))
      const life = { isOver: false }
      void exited.then(() => (life.isOver = true))
      while (shown.split("\n").length < script.split("echo").length)
        await new Promise((resolve) => child.stdout.once("data", resolve))
      const pids = shown.trim().split("\n").map(Number)
      return {
        child,
        exited,
        life,
        pids,
        processes: new ProgramProcesses(child.pid, detached, () => life.isOver, `TEST_PROGRAM=${TEST_PROGRAM}`)
      }
    }),
    ({ child, pids }) =>
      Effect.sync(() => {
        for (const pid of [...pids, child.pid ?? 0]) if (isAlive(pid)) process.kill(pid, "SIGKILL")
      })
  )

const isAlive = (pid: number): boolean => {
  try {
    return pid > 0 && process.kill(pid, 0)
  } catch {
    return false
  }
}

describe("the processes of a program", () => {
  for (const detached of [true, false]) {
    it.live(`all end by a stop, ${detached ? "in a group of their own" : "in our group, which goes on"}`, () =>
      Effect.gen(function* () {
        const { exited, pids, processes } = yield* startFamily(detached)
        assert.lengthOf(pids.filter(isAlive), 2)
        processes.stop("SIGTERM")
        yield* Effect.promise(() => exited)
        yield* until(() => !processes.isLeft())
        yield* until(() => !pids.some(isAlive))
      }).pipe(Effect.scoped)
    )
  }

  it.live.skipIf(process.platform !== "linux")(
    "all end by a stop, one whose parent has exited as well, and no other",
    () =>
      Effect.gen(function* () {
        const other = yield* startFamily(true, `${daemon}; ${waiting}`)
        const { exited, pids, processes } = yield* startFamily(true, `${daemon}; ${waiting}`)
        processes.stop("SIGTERM")
        yield* Effect.promise(() => exited)
        yield* until(() => !processes.isLeft())
        assert.deepStrictEqual(pids.filter(isAlive), [])
        assert.lengthOf(other.pids.filter(isAlive), 3)
      }).pipe(Effect.scoped)
  )

  it.live("stay after a signal to a program without a group of its own", () =>
    Effect.gen(function* () {
      const { exited, pids, processes } = yield* startFamily(false)
      processes.signal("SIGTERM")
      yield* Effect.promise(() => exited)
      assert.lengthOf(pids.filter(isAlive), 2)
      // Its number may be another one's by now.
      processes.signal("SIGKILL")
      assert.isFalse(processes.isLeft())
    }).pipe(Effect.scoped)
  )

  it("are none of a program that did not start", () => {
    const processes = new ProgramProcesses(undefined, true, () => false, "TEST_PROGRAM=none")
    processes.signal("SIGKILL")
    processes.stop("SIGKILL")
    assert.isFalse(processes.isLeft())
  })
})
