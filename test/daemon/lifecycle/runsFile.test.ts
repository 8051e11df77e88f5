/**
 * runs.json is read as it was written, an unreadable one is renamed, and no error
 * prevents a start.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as fs from "node:fs"
import * as path from "node:path"
import { readRuns, writeRuns } from "../../../src/daemon/lifecycle/runsFile.ts"
import { pinDirectory } from "../../../src/daemon/files/pinDirectory.ts"
import { beginRun, endRun, noRuns } from "../../../src/domain/runHistory.ts"
import { fromMillis } from "../../../src/domain/Timestamp.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const history = beginRun(noRuns, 7, fromMillis(1_800_000_000_000), true)

const place = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  const log: Array<string> = []
  const logger = Logger.make<unknown, void>(({ message }) => void log.push(String(message)))
  return {
    directory,
    file: path.join(directory, "runs.json"),
    own: yield* pinDirectory(directory),
    log,
    quietly: Effect.provide(Logger.layer([logger]))
  }
})

describe("runs.json", () => {
  it.live("is read as it was written, with mode 0600, and as empty if there is none", () =>
    Effect.gen(function* () {
      const { file, own } = yield* place
      assert.deepStrictEqual(yield* readRuns(file, own), noRuns)
      yield* writeRuns(file, own, history)
      assert.deepStrictEqual(yield* readRuns(file, own), history)
      assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
    })
  )

  for (const [what, damage] of [
    ["cut short", (file: string) => fs.truncateSync(file, 20)],
    ["empty", (file: string) => fs.truncateSync(file, 0)],
    ["something else", (file: string) => fs.writeFileSync(file, '{"unclean_starts":7}')]
  ] as const) {
    it.live(`is renamed if it is ${what}, and the history starts empty`, () =>
      Effect.gen(function* () {
        const { file, log, own, quietly } = yield* place
        yield* writeRuns(file, own, history)
        damage(file)
        const damaged = fs.readFileSync(file)
        assert.deepStrictEqual(yield* quietly(readRuns(file, own)), noRuns)
        assert.deepStrictEqual(fs.readFileSync(`${file}.unreadable`), damaged)
        assert.isFalse(fs.existsSync(file))
        assert.include(log.join(), `${file} is unreadable`)
      })
    )
  }

  it.live("is renamed if it is a directory, and written anew; a write that fails is reported in the log", () =>
    Effect.gen(function* () {
      const { directory, file, log, own, quietly } = yield* place
      fs.mkdirSync(file)
      yield* quietly(writeRuns(file, own, history))
      assert.include(log.join(), "cannot write")
      assert.deepStrictEqual(yield* quietly(readRuns(file, own)), noRuns)
      assert.lengthOf(log, 2)
      yield* quietly(writeRuns(file, own, history))
      assert.deepStrictEqual(yield* readRuns(file, own), history)
      assert.isDefined(fs.readdirSync(directory).find((name) => name.startsWith("runs.json.damaged-")))
    })
  )

  it.live("is overwritten where no new file can be created, so that an orderly end is recorded", () =>
    Effect.gen(function* () {
      const { file, log, own, quietly } = yield* place
      yield* writeRuns(file, own, history)
      // As with a full inode table or disk, the temporary file cannot be made.
      fs.mkdirSync(path.join(`${file}.tmp`, "in the way"), { recursive: true })
      const ended = endRun(history, fromMillis(1_800_000_000_001), "SIGTERM")
      yield* quietly(writeRuns(file, own, ended))
      assert.deepStrictEqual([yield* readRuns(file, own), log], [ended, []])
      yield* quietly(writeRuns(file, own, history))
      assert.deepStrictEqual(yield* readRuns(file, own), history)
    })
  )

  it.live("is not written to a directory that replaced its own", () =>
    Effect.gen(function* () {
      const { directory, file, log, own, quietly } = yield* place
      fs.renameSync(directory, `${directory}.before`)
      fs.mkdirSync(directory)
      yield* quietly(writeRuns(file, own, history))
      assert.isFalse(fs.existsSync(file))
      assert.include(log.join(), "another directory has replaced it")
      fs.rmSync(`${directory}.before`, { recursive: true })
    })
  )
})
