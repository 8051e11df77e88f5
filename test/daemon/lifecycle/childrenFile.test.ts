/**
 * A daemon that is killed leaves no process behind for good: the next one ends it when its time
 * is over, and no other process that has the same number by then.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { childRecordLayer, elapsedMillis } from "../../../src/daemon/lifecycle/childrenFile.ts"
import { recordChild } from "../../../src/process/childRecord.ts"
import { runTool } from "../../../src/process/runTool.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { until } from "../../support/waiting.ts"

/** A process group that SIGSTOP has stopped, as the last daemon may have left it. */
const leftStopped = Effect.acquireRelease(
  Effect.sync(() => {
    const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" })
    child.kill("SIGSTOP")
    return { pid: child.pid ?? 0, ended: once(child, "exit"), isRunning: () => child.signalCode === null }
  }),
  ({ isRunning, pid }) => Effect.sync(() => isRunning() && process.kill(-pid, "SIGKILL"))
)

const place = Effect.map(temporaryDirectory, (directory) => path.join(directory, "children.json"))

/** Writes the file as a daemon that was killed: `age` is how long ago it started the process. */
const write = (file: string, pid: number, { age, left }: { readonly age: number; readonly left: number }) => {
  const now = Date.now()
  fs.writeFileSync(file, JSON.stringify([{ pid, started_at: now - age, until: now + left }]))
}

const logged = () => {
  const lines: Array<string> = []
  const layer = Logger.layer([Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))])
  return { lines, layer }
}

describe("a process group that a killed daemon left", () => {
  it.live("is ended by the next daemon, even if it is stopped", () =>
    Effect.gen(function* () {
      const file = yield* place
      const child = yield* leftStopped
      write(file, child.pid, { age: 10, left: 0 })
      const { layer, lines } = logged()
      yield* Effect.gen(function* () {
        yield* Effect.promise(() => child.ended)
        yield* until(() => !fs.existsSync(file))
      }).pipe(Effect.provide(Layer.provideMerge(childRecordLayer(file), layer)))
      assert.deepStrictEqual(lines, [`ended process group ${child.pid}, which a daemon that was killed had started`])
    })
  )

  it.live("gets the rest of its time, over a restart", () =>
    Effect.gen(function* () {
      const file = yield* place
      const child = yield* leftStopped
      write(file, child.pid, { age: 10, left: 3_600_000 })
      const before = fs.readFileSync(file, "utf8")
      yield* Effect.provide(Effect.yieldNow, childRecordLayer(file))
      assert.isTrue(child.isRunning())
      assert.strictEqual(fs.readFileSync(file, "utf8"), before)
    })
  )

  it.live("is left alone if its number is that of another process by now", () =>
    Effect.gen(function* () {
      const file = yield* place
      const child = yield* leftStopped
      write(file, child.pid, { age: 60_000, left: 0 })
      yield* Effect.provide(
        until(() => !fs.existsSync(file)),
        childRecordLayer(file)
      )
      assert.isTrue(child.isRunning())
    })
  )

  for (const text of [
    "",
    "{",
    "{}",
    '[{"pid":0,"started_at":0,"until":0},{"pid":1,"started_at":0,"until":0}]',
    "[[]]"
  ]) {
    it.live(`is none in a file with ${JSON.stringify(text)}`, () =>
      Effect.gen(function* () {
        const file = yield* place
        fs.writeFileSync(file, text)
        const { layer, lines } = logged()
        yield* Effect.provide(Effect.yieldNow, Layer.provideMerge(childRecordLayer(file), layer))
        assert.isEmpty(lines)
      })
    )
  }
})

describe("children.json", () => {
  it.live("has the programs with a time limit while they run, and is gone after them", () =>
    Effect.gen(function* () {
      const file = yield* place
      const script = `n=0; until cat ${file} 2>/dev/null || [ $n -gt 500 ]; do n=$((n + 1)); sleep 0.01; done; echo $$`
      const environment = { env: { PATH: "/usr/bin:/bin" } }
      yield* Effect.gen(function* () {
        const { stdout } = yield* runTool(["sh", "-c", script], { ...environment, timeout: "1 minute" })
        const [line = "", pid] = stdout.toString("utf8").split("\n")
        const [child] = JSON.parse(line)
        assert.strictEqual(child.pid, Number(pid))
        assert.strictEqual(child.until - child.started_at, 60_000)
        assert.isFalse(fs.existsSync(file))
      }).pipe(Effect.provide(childRecordLayer(file)))
    })
  )

  it.effect("is not written where nothing keeps a record, nor into a directory that replaced its own", () =>
    Effect.gen(function* () {
      const file = yield* place
      const directory = path.dirname(file)
      yield* Effect.scoped(recordChild(4711, 1000))
      yield* Effect.gen(function* () {
        fs.renameSync(directory, `${directory}.before`)
        fs.mkdirSync(directory)
        yield* Effect.scoped(recordChild(4711, 1000))
      }).pipe(Effect.provide(childRecordLayer(file)))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(fs.readdirSync(directory), [])
      fs.rmSync(`${directory}.before`, { recursive: true })
    })
  )
})

describe("the elapsed time of ps", () => {
  it("is read in each of its forms", () => {
    for (const [text, seconds] of [
      ["   00:07\n", 7],
      ["01:02", 62],
      ["03:00:01", 10_801],
      [" 2-01:00:00\n", 176_400]
    ] as const) {
      assert.strictEqual(elapsedMillis(text), seconds * 1000)
    }
    for (const text of ["", "-", "7", "no such process"]) assert.isUndefined(elapsedMillis(text))
  })
})
