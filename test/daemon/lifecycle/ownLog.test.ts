/**
 * The log file of a service that nothing rotates.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as fs from "node:fs"
import * as path from "node:path"
import { cutLog } from "../../../src/daemon/lifecycle/ownLog.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const maxBytes = 1000
const line = "0123456789\n"
const long = line.repeat(100)
const mark = "[agent-secrets cut the lines before]\n"

/** A log that is open as a supervisor opens it, with the daemon's logger at its end. */
const openLog = Effect.fnUntraced(function* (contents: string, flags = "a") {
  const directory = yield* temporaryDirectory
  const file = path.join(directory, "daemon.log")
  if (flags === "a") fs.writeFileSync(file, contents)
  const descriptor = fs.openSync(file, flags)
  if (flags !== "a") fs.writeSync(descriptor, contents)
  yield* Effect.addFinalizer(() => Effect.sync(() => fs.closeSync(descriptor)))
  const logger = Logger.layer([Logger.make(({ message }) => void fs.writeSync(descriptor, `${String(message)}\n`))])
  const cut = (places: ReadonlyArray<string> = [path.join(directory, "no-such.log"), file]) =>
    Effect.provide(cutLog({ descriptor, maxBytes, places }), logger satisfies Layer.Layer<never>)
  return { directory, file, cut }
})

describe("the log file of the daemon", () => {
  it.live("is cut where it is too long, and its end is kept beside it", () =>
    Effect.gen(function* () {
      const { cut, directory, file } = yield* openLog(long)
      assert.strictEqual(yield* cut(), "cut")
      assert.strictEqual(fs.readFileSync(`${file}.old`, "utf8"), `${mark}${long.slice(-maxBytes)}`)
      assert.strictEqual(fs.statSync(`${file}.old`).mode & 0o777, 0o600)
      assert.strictEqual(fs.readFileSync(file, "utf8"), `the log was cut; ${file}.old has the end of what was there\n`)
      assert.strictEqual(yield* cut(), "short")
      fs.appendFileSync(file, long.toUpperCase())
      assert.strictEqual(yield* cut(), "cut")
      assert.deepStrictEqual(fs.readdirSync(directory).toSorted(), ["daemon.log", "daemon.log.old"])
    })
  )

  it.live("replaces no file that another program rotated to the name beside it", () =>
    Effect.gen(function* () {
      const { cut, directory, file } = yield* openLog(long)
      fs.writeFileSync(`${file}.old`, "the only copy\n")
      assert.strictEqual(yield* cut(), "cut")
      const names = fs.readdirSync(directory).toSorted()
      assert.lengthOf(names, 3)
      assert.match(names[2] ?? "", /^daemon\.log\.old\.\d+$/)
      assert.strictEqual(fs.readFileSync(path.join(directory, names[2] ?? ""), "utf8"), "the only copy\n")
    })
  )

  it.live("is left alone while it is short", () =>
    Effect.gen(function* () {
      const { cut, directory, file } = yield* openLog(long.slice(0, maxBytes))
      assert.strictEqual(yield* cut(), "short")
      assert.strictEqual(fs.statSync(file).size, maxBytes)
      assert.deepStrictEqual(fs.readdirSync(directory), ["daemon.log"])
    })
  )

  it.live("is left alone where a person has chosen its place", () =>
    Effect.gen(function* () {
      const { cut, file } = yield* openLog(long)
      assert.strictEqual(yield* cut([`${file}.other`]), "no log")
      assert.strictEqual(fs.readFileSync(file, "utf8"), long)
    })
  )

  it.live("is reported where the next line would not go to its end, and not cut if the system says so before", () =>
    Effect.gen(function* () {
      const { cut, file } = yield* openLog(long, "w")
      assert.strictEqual(yield* cut(), "not appended to")
      if (process.platform === "linux") assert.strictEqual(fs.readFileSync(file, "utf8"), long)
    })
  )
})
