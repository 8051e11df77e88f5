/**
 * A missing directory is waited for, a replaced one ends the watch, and each change is
 * logged once. Real directories, virtual time.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { StartError } from "../../../src/daemon/files/fileLock.ts"
import { pinDirectory } from "../../../src/daemon/files/pinDirectory.ts"
import {
  restartOnReplacedDirectory,
  waitUntilStable,
  watchDirectories,
  type WatchedDirectories
} from "../../../src/daemon/lifecycle/watchDirectories.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const watching = Effect.fnUntraced(function* (
  change: (watched: WatchedDirectories) => Partial<WatchedDirectories> = () => ({})
) {
  const directory = path.join(yield* temporaryDirectory, "state")
  fs.mkdirSync(directory)
  const isLocked = { now: true }
  const watched: WatchedDirectories = {
    directories: [yield* pinDirectory(directory)],
    lock: { path: path.join(directory, "daemon.lock"), isHeld: () => isLocked.now },
    hasStore: () => fs.existsSync(path.join(directory, "secrets.age"))
  }
  const log: Array<string> = []
  const logger = Logger.make<unknown, void>(({ message }) => void log.push(String(message)))
  const fiber = yield* Effect.forkScoped(
    Effect.provide(watchDirectories({ ...watched, ...change(watched) }), Logger.layer([logger]))
  )
  return {
    directory,
    isLocked,
    log,
    /** Advances the clock by seconds; returns the reason if the watch has ended. */
    after: (seconds: number) =>
      Effect.map(TestClock.adjust(`${seconds} seconds`), () => {
        const exit = fiber.pollUnsafe()
        return exit?._tag === "Success" ? exit.value : undefined
      })
  }
})

describe("watchDirectories", () => {
  it.effect("waits for a missing directory, and continues when the same one is back", () =>
    Effect.gen(function* () {
      const { after, directory, log } = yield* watching()
      assert.isUndefined(yield* after(5))
      fs.renameSync(directory, `${directory}.away`)
      assert.isUndefined(yield* after(60))
      fs.renameSync(`${directory}.away`, directory)
      assert.isUndefined(yield* after(60))
      assert.deepStrictEqual(log, [
        `${directory} is missing; leases and changes are rejected until it is back`,
        "the directory is back; the daemon continues"
      ])
    })
  )

  it.effect("ends for a replaced directory, but not while its contents change", () =>
    Effect.gen(function* () {
      const { after, directory } = yield* watching()
      fs.rmSync(directory, { recursive: true })
      fs.mkdirSync(directory)
      /** Sets the mtime, because real time does not pass. */
      const fill = (file: string, seconds: number) => {
        fs.writeFileSync(path.join(directory, file), "")
        fs.utimesSync(directory, seconds, seconds)
      }
      assert.isUndefined(yield* after(4))
      fill("identity.age", 1)
      assert.isUndefined(yield* after(1))
      fill("secrets.age", 2)
      assert.isUndefined(yield* after(1))
      assert.isUndefined(yield* after(0.999))
      assert.strictEqual(yield* after(0.001), `another directory has replaced ${directory}`)
    })
  )

  it.effect("ends after ten checks of a directory that keeps changing", () =>
    Effect.gen(function* () {
      const { after, directory } = yield* watching()
      fs.rmdirSync(directory)
      fs.mkdirSync(directory)
      for (let look = 1; look < 10; look += 1) {
        fs.utimesSync(directory, look, look)
        assert.isUndefined(yield* after(look === 1 ? 4 : 1))
      }
      fs.utimesSync(directory, 0, 0)
      assert.isDefined(yield* after(1))
    })
  )

  it.effect("ends at once if the lock file was replaced", () =>
    Effect.gen(function* () {
      const { after, directory, isLocked } = yield* watching()
      isLocked.now = false
      assert.isUndefined(yield* after(3.999))
      assert.strictEqual(yield* after(0.001), `${path.join(directory, "daemon.lock")} was removed or replaced`)
    })
  )

  it.effect("waits for an empty directory on another disk, and ends when it has a store", () =>
    Effect.gen(function* () {
      const { after, directory, log } = yield* watching(({ directories }) => ({
        directories: directories.map((one) => ({ ...one, device: one.device + 1 }))
      }))
      fs.renameSync(directory, `${directory}.volume`)
      fs.mkdirSync(directory)
      assert.isUndefined(yield* after(60))
      assert.lengthOf(log, 1)
      assert.match(log[0] ?? "", /is now on another disk and has no store/)
      fs.writeFileSync(path.join(directory, "secrets.age"), "")
      assert.isUndefined(yield* after(1))
      assert.isDefined(yield* after(1))
    })
  )

  it.effect("detects a replaced directory even if the system reuses the inode number", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* temporaryDirectory, "state")
      fs.mkdirSync(directory)
      const { check, status } = yield* pinDirectory(directory)
      yield* check
      fs.rmdirSync(directory)
      assert.strictEqual(
        (yield* Effect.flip(check)).message.split(";")[0],
        `cannot write to ${directory}: the directory is missing`
      )
      for (let n = 0; n < 20; n += 1) {
        fs.mkdirSync(directory)
        assert.strictEqual(status(), "replaced")
        fs.rmdirSync(directory)
      }
    })
  )

  it.effect("waitUntilStable ends when all directories exist and did not change for a second", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* temporaryDirectory, "state")
      const fiber = yield* Effect.forkChild(waitUntilStable([directory]))
      const isOver = (seconds: number) =>
        Effect.map(TestClock.adjust(`${seconds} seconds`), () => fiber.pollUnsafe() !== undefined)
      assert.isFalse(yield* isOver(10))
      fs.mkdirSync(directory)
      assert.isFalse(yield* isOver(1))
      assert.isFalse(yield* isOver(0.999))
      assert.isTrue(yield* isOver(0.001))
      yield* Fiber.join(fiber)
    })
  )
})

const error = (reason: string, exitStatus = 65) => Effect.fail(new StartError({ reason, fix: "", exitStatus }))

/** Runs a daemon with these results, one after the other. */
const following = Effect.fnUntraced(function* (
  ...courses: ReadonlyArray<Effect.Effect<"restart" | "directory replaced", StartError>>
) {
  const directory = yield* temporaryDirectory
  const starts: Array<boolean> = []
  const log: Array<string> = []
  const logger = Logger.make<unknown, void>(({ message }) => void log.push(String(message)))
  const once = (isRestart: boolean) =>
    Effect.suspend(() => {
      starts.push(isRestart)
      return courses[starts.length - 1] ?? Effect.never
    })
  const fiber = yield* Effect.forkScoped(
    Effect.provide(restartOnReplacedDirectory([directory], once), Logger.layer([logger]))
  )
  return { starts, log, end: Fiber.await(fiber), fiber }
})

const replaced = Effect.succeed("directory replaced" as const)
const restart = Effect.succeed("restart" as const)

describe("a restart on a replaced directory", () => {
  it.effect("happens at once if the directory was replaced, and not after a requested restart", () =>
    Effect.gen(function* () {
      const { end, starts } = yield* following(replaced, replaced, restart)
      assert.strictEqual((yield* end)._tag, "Success")
      assert.deepStrictEqual(starts, [false, true, true])
    })
  )

  it.effect("does not happen if the first start fails", () =>
    Effect.gen(function* () {
      const { end, starts } = yield* following(error("no"))
      assert.strictEqual((yield* end)._tag, "Failure")
      assert.deepStrictEqual(starts, [false])
    })
  )

  it.effect("is retried until it succeeds, with one log line per reason", () =>
    Effect.gen(function* () {
      const { end, log, starts } = yield* following(replaced, error("a"), error("a"), error("b"), restart)
      yield* TestClock.adjust("2.999 seconds")
      assert.lengthOf(starts, 4)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* end)._tag, "Success")
      assert.deepStrictEqual(log, ["cannot restart yet: a", "cannot restart yet: b"])
    })
  )

  it.effect("is not retried if another daemon already serves the directory", () =>
    Effect.gen(function* () {
      const { end, log, starts } = yield* following(replaced, error("taken", 75))
      assert.strictEqual((yield* end)._tag, "Failure")
      assert.lengthOf(starts, 2)
      assert.deepStrictEqual(log, [])
    })
  )
})
