/**
 * Readers get what was appended, across chunks and archives. A torn last line is cut off
 * and saved, and a failed append leaves nothing. A moved file is replaced by a new one of
 * its name.
 */
import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import nodeFs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import type { FileError } from "../../../src/daemon/files/durableFile.ts"
import { type LogFile, openLog } from "../../../src/daemon/audit/LogFile.ts"

/** Calls that fail, as on a full or broken disk; a write fails after half of its bytes. */
const broken = new Set<string>()
const refuse = (call: string) => Object.assign(new Error(`EIO: i/o error, ${call}`), { code: "EIO" })
const real = {
  writeSync: fs.writeSync,
  fdatasync: fs.fdatasync,
  fdatasyncSync: fs.fdatasyncSync,
  ftruncateSync: fs.ftruncateSync
}
/** The flushes since the test began, by the thread that made them. */
const flushes: Array<"another" | "this"> = []

beforeAll(() => {
  Object.assign(nodeFs, {
    writeSync: (fd: number, bytes: Uint8Array, from: number, length: number) => {
      const written = real.writeSync(fd, bytes, from, broken.has("write") ? length >> 1 : length)
      if (broken.has("write")) throw refuse("write")
      return written
    },
    fdatasync: (fd: number, done: fs.NoParamCallback) => {
      flushes.push("another")
      if (broken.has("fdatasync")) done(refuse("fdatasync"))
      else real.fdatasync(fd, done)
    },
    fdatasyncSync: (fd: number) => {
      flushes.push("this")
      if (broken.has("fdatasync")) throw refuse("fdatasync")
      real.fdatasyncSync(fd)
    },
    ftruncateSync: (fd: number, length: number) => {
      if (broken.has("ftruncate")) throw refuse("ftruncate")
      real.ftruncateSync(fd, length)
    }
  })
  syncBuiltinESMExports()
})

afterAll(() => {
  Object.assign(nodeFs, real)
  syncBuiltinESMExports()
})

/** Runs an effect in which each flush seems to take so many milliseconds. */
const whileFlushesTake = <A, E>(millis: number, effect: Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => vi.spyOn(performance, "now").mockImplementation(() => flushes.length * millis)),
    () => effect,
    (now) => Effect.sync(() => now.mockRestore())
  )

/** Complete lines end in a full stop. */
const isLine = (line: string) => line.endsWith(".")
const now = 1_800_000_000_000

/** Runs a test on a path in a temporary directory. */
const onFile = (test: (file: string) => Generator<Effect.Effect<unknown, unknown, Scope.Scope>, void, never>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "log-file-"))),
    (directory) => Effect.scoped(Effect.gen(() => test(path.join(directory, "log")))),
    (directory) =>
      Effect.sync(() => {
        broken.clear()
        flushes.length = 0
        fs.rmSync(directory, { recursive: true })
      })
  )

/** Appends as the audit log does: `follow` first. */
const put = (log: LogFile, lines: string) => Effect.andThen(log.follow, log.append(lines))

/** Opens a log with these contents. */
const openOver = (file: string, contents: string | Uint8Array) => {
  fs.writeFileSync(file, contents, { mode: 0o600 })
  return openLog(file, isLine, now)
}
const text = (file: string) => fs.readFileSync(file, "utf8")
const mode = (file: string) => fs.statSync(file).mode & 0o777
const joined = (lines: ReadonlyArray<string>) => lines.map((line) => `${line}\n`).join("")

const readBack = Effect.fnUntraced(function* (log: LogFile) {
  const lines: Array<string> = []
  yield* log.readBackwards((line) => lines.push(line) > 0)
  return lines.toReversed()
})

describe("reading", () => {
  const Line = Schema.String.check(Schema.isPattern(/^[^\n]+$/), Schema.isMaxLength(30))
  const Batches = Schema.Array(Schema.Array(Line)).check(Schema.isMaxLength(4))

  it.live.prop(
    "passes the appended lines with their start offsets",
    [Batches],
    ([batches]) =>
      onFile(function* (file) {
        const { log } = yield* openLog(file, isLine, now)
        for (const lines of batches) yield* put(log, joined(lines))
        const all = batches.flat().map((line) => line.toWellFormed())
        assert.strictEqual(text(file), joined(all))
        assert.strictEqual(log.size(), fs.statSync(file).size)
        const places: Array<string> = []
        yield* log.readBackwards((line, name, start) => places.push(`${name} ${start} ${line}`) > 0)
        const starts = all.map((line, at) => `${file} ${Buffer.byteLength(joined(all.slice(0, at)))} ${line}`)
        assert.deepStrictEqual(places.toReversed(), starts)
      }),
    { arbitrary: { runs: 25 } }
  )

  const chunk = 64 * 1024
  it.live.each([
    ["one byte shorter than a chunk", [chunk - 1]],
    ["as long as a chunk", [chunk]],
    ["one byte longer than a chunk", [chunk + 1]],
    ["shorter and longer lines", [100, chunk - 100, 1, 2 * chunk, chunk - 1, 3]],
    ["much longer than a chunk", [3 * chunk + 5, 2]]
  ] as const)("joins lines across chunks: %s", ([, lengths]) =>
    onFile(function* (file) {
      // Lengths include the line feed. Characters have three bytes, so that chunks end within one.
      const lines = lengths.map((length) => "世".repeat((length - 1) / 3) + "x".repeat((length - 1) % 3))
      const { log } = yield* openOver(file, joined(lines))
      assert.isTrue(joined(yield* readBack(log)) === joined(lines))
    })
  )

  it.live("reads no line beyond the durable length", () =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "one.\n")
      fs.appendFileSync(file, "not flushed.\n")
      assert.deepStrictEqual(yield* readBack(log), ["one."])
    })
  )

  it.live("stops when the visitor returns false", () =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "one.\ntwo.\nthree.\n")
      const seen: Array<string> = []
      yield* log.readBackwards((line) => seen.push(line) < 2)
      assert.deepStrictEqual(seen, ["three.", "two."])
    })
  )

  it.live.each([["stays"], ["is moved away"]])(
    "reads the lines that existed when it began, while the file %s",
    ([fate]) =>
      onFile(function* (file) {
        const lines = Array.from({ length: 30 }, (_, at) => `${at} ${"x".repeat(9_000)}.`)
        const { log } = yield* openOver(file, joined(lines))
        const seen: Array<string> = []
        const appending: Array<Fiber.Fiber<void, FileError>> = []
        yield* log.readBackwards((line) => {
          if (seen.push(line) > 1) return true
          if (fate === "is moved away") fs.renameSync(file, `${file}.1`)
          return appending.push(Effect.runFork(put(log, "new.\n"))) > 0
        })
        yield* Fiber.joinAll(appending)
        const inShort = (line: string) => `${line.slice(0, 3)} of ${line.length}`
        assert.deepStrictEqual(seen.toReversed().map(inShort), lines.map(inShort))
        assert.isTrue(text(file).endsWith("new.\n"))
      })
  )
})

describe("opening", () => {
  it.live("creates a file with mode 0600, and keeps complete lines but tightens the mode", () =>
    onFile(function* (file) {
      const made = yield* openLog(file, isLine, now)
      assert.deepStrictEqual([text(file), mode(file), made.log.size(), made.torn], ["", 0o600, 0, undefined])
      fs.writeFileSync(file, "one.\nodd\n")
      fs.chmodSync(file, 0o644)
      const found = yield* openLog(file, isLine, now)
      assert.deepStrictEqual([text(file), mode(file), found.log.size()], ["one.\nodd\n", 0o600, 9])
      assert.deepStrictEqual([found.torn, fs.readdirSync(path.dirname(file))], [undefined, ["log"]])
    })
  )

  it.live.each([
    ["after other lines", "one.\n", "tw"],
    ["as the only text", "", "tw"],
    ["within a character", "one.\n", Buffer.from("世").subarray(0, 2)],
    ["longer than a chunk", "one.\n", "x".repeat(150_000)],
    ["of zeros", "one.\n", "\u0000".repeat(9)]
  ] as const)("cuts off and saves a torn line %s", ([, whole, tail]) =>
    onFile(function* (file) {
      const { log, torn } = yield* openOver(file, Buffer.concat([Buffer.from(whole), Buffer.from(tail)]))
      const savedAs = `${file}.torn-${now}`
      assert.deepStrictEqual(torn, { bytes: tail.length, savedAs, repair: "cut off" })
      assert.isTrue(fs.readFileSync(savedAs).equals(Buffer.from(tail)))
      assert.deepStrictEqual([mode(savedAs), log.size(), text(file)], [0o600, whole.length, whole])
      yield* put(log, "next.\n")
      assert.strictEqual(text(file), `${whole}next.\n`)
    })
  )

  it.live("cuts off a torn line of many megabytes, also if it cannot be saved", () =>
    onFile(function* (file) {
      fs.mkdirSync(`${file}.torn-${now}`)
      const { log, torn } = yield* openOver(file, Buffer.concat([Buffer.from("one.\n"), Buffer.alloc(64e6)]))
      assert.deepStrictEqual(torn, { bytes: 64e6, savedAs: undefined, repair: "cut off" })
      assert.strictEqual(log.size(), 5)
    })
  )

  it.live("passes a line of many megabytes as an empty one", () =>
    onFile(function* (file) {
      const { log } = yield* openOver(
        file,
        Buffer.concat([Buffer.from("one.\n"), Buffer.alloc(32e6), Buffer.from("\ntwo.\n")])
      )
      assert.deepStrictEqual(yield* readBack(log), ["one.", "", "two."])
    })
  )

  it.live("adds the missing line feed to a complete line", () =>
    onFile(function* (file) {
      const { log, torn } = yield* openOver(file, "one.\ntwo.")
      assert.deepStrictEqual(torn, { bytes: 4, savedAs: undefined, repair: "completed" })
      assert.deepStrictEqual(fs.readdirSync(path.dirname(file)), ["log"])
      assert.strictEqual(log.size(), 10)
      yield* put(log, "next.\n")
      assert.strictEqual(text(file), "one.\ntwo.\nnext.\n")
    })
  )

  it.live("rejects a file that is not regular", () =>
    onFile(function* (file) {
      execFileSync("mkfifo", [file])
      const error = yield* Effect.flip(openLog(file, isLine, now))
      assert.strictEqual(error.message, `cannot open ${file}: not a regular file`)
    })
  )
})

describe("appending", () => {
  const moveAway = (file: string) => fs.renameSync(file, `${file}.1`)
  const replace = (file: string) => {
    moveAway(file)
    fs.writeFileSync(file, "theirs.\n", { mode: 0o644 })
  }
  it.live.each([
    ["moved away", moveAway, ""],
    ["removed", (file: string) => fs.rmSync(file), ""],
    ["replaced", replace, "theirs.\n"]
  ] as const)("continues in a new file of that name when the old one was %s", ([how, move, found]) =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "old.\n")
      move(file)
      yield* put(log, "new.\n")
      yield* put(log, "newer.\n")
      assert.deepStrictEqual([text(file), mode(file)], [`${found}new.\nnewer.\n`, 0o600])
      assert.strictEqual(log.size(), fs.statSync(file).size)
      assert.deepStrictEqual((yield* readBack(log)).slice(-2), ["new.", "newer."])
      if (how === "removed") return
      assert.strictEqual(text(`${file}.1`), "old.\n")
      assert.strictEqual((yield* readBack(log))[0], "old.")
    })
  )

  it.live("reports what another process did to the file", () =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "one.\ntwo.\n")
      assert.deepStrictEqual(yield* log.follow, { _tag: "Same" })
      fs.truncateSync(file, 5)
      assert.deepStrictEqual(yield* log.follow, { _tag: "Shorter", bytes: 5 })
      fs.appendFileSync(file, "new.\n")
      assert.deepStrictEqual(yield* log.follow, { _tag: "Longer", bytes: 5 })
      yield* log.append("three.\n")
      assert.deepStrictEqual([text(file), yield* log.follow], ["one.\nnew.\nthree.\n", { _tag: "Same" }])
      fs.rmSync(file)
      assert.deepStrictEqual([yield* log.follow, log.generation()], [{ _tag: "Moved" }, 2])
    })
  )

  it.live.each([
    ["write", "another"],
    ["fdatasync", "another"],
    ["fdatasync", "this"]
  ] as const)("leaves nothing of an append when %s fails on %s thread", ([call, thread]) =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "old.\n")
      if (thread === "this") yield* whileFlushesTake(0.1, log.flush)
      broken.add(call)
      const error = yield* Effect.flip(put(log, "lost, all of it.\n"))
      assert.deepStrictEqual([error.code, text(file), log.size()], ["EIO", "old.\n", 5])
      if (call === "fdatasync") assert.strictEqual(flushes.at(-1), thread)
      broken.clear()
      yield* put(log, "new.\n")
      assert.deepStrictEqual([text(file), log.size()], ["old.\nnew.\n", 10])
    })
  )

  it.live("flushes few bytes on the thread that serves, as long as the disk is quick", () =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "")
      const few = put(log, `${"x".repeat(1023)}\n`)
      const many = put(log, `${"x".repeat(1024)}\n`)
      const flushesOf = Effect.fnUntraced(function* (append: Effect.Effect<void, FileError>, millis: number) {
        flushes.length = 0
        yield* whileFlushesTake(millis, append)
        return flushes.join()
      })
      // What is quick is known from the flush before.
      assert.strictEqual(yield* flushesOf(few, 0.9), "another")
      assert.strictEqual(yield* flushesOf(few, 0.9), "this")
      // Many bytes are those of many clients, whose next requests are read meanwhile.
      assert.strictEqual(yield* flushesOf(many, 0.9), "another")
      assert.strictEqual(yield* flushesOf(few, 0.9), "another")
      assert.strictEqual(yield* flushesOf(few, 1), "this")
      assert.strictEqual(yield* flushesOf(few, 1), "another")
      assert.strictEqual(yield* flushesOf(few, 0.9), "another")
      assert.strictEqual(yield* flushesOf(few, 0.9), "this")
    })
  )

  it.live("truncates a failed append before the next one if the first truncation failed", () =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "old.\n")
      broken.add("write").add("ftruncate")
      yield* Effect.flip(put(log, "lost.\n"))
      broken.delete("write")
      yield* Effect.flip(put(log, "lost too.\n"))
      assert.deepStrictEqual([log.size(), yield* readBack(log)], [5, ["old."]])
      broken.clear()
      yield* put(log, "new.\n")
      assert.strictEqual(text(file), "old.\nnew.\n")
    })
  )

  it.live.each([
    ["a directory", (file: string) => fs.mkdirSync(file), /^cannot append to .*log: EISDIR: /],
    ["a pipe", (file: string) => execFileSync("mkfifo", [file]), /^cannot append to .*log: not a regular file$/]
  ] as const)("fails while %s has the name of the file, and succeeds afterwards", ([, block, message]) =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "old.\n")
      moveAway(file)
      block(file)
      assert.match((yield* Effect.flip(put(log, "lost.\n"))).message, message)
      assert.deepStrictEqual([log.size(), yield* readBack(log)], [5, ["old."]])
      fs.rmSync(file, { recursive: true })
      fs.renameSync(`${file}.1`, file)
      yield* put(log, "new.\n")
      assert.strictEqual(text(file), "old.\nnew.\n")
    })
  )
})

describe("rotating", () => {
  const names = (file: string) => fs.readdirSync(path.dirname(file)).toSorted()
  const always = () => true

  it.live("renames the archives, reads through all, and keeps the configured number", () =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "0.\n")
      for (let n = 1; n <= 5; n += 1) {
        yield* log.rotate(3, always)
        yield* put(log, `${n}.\n`)
      }
      assert.deepStrictEqual(names(file), ["log", "log.1", "log.2", "log.3"])
      assert.deepStrictEqual(yield* readBack(log), ["2.", "3.", "4.", "5."])
      assert.deepStrictEqual(log.files(), [`${file}.3`, `${file}.2`, `${file}.1`, file])
      assert.deepStrictEqual([mode(file), mode(`${file}.1`)], [0o600, 0o600])
      assert.deepStrictEqual([yield* log.follow, log.generation()], [{ _tag: "Same" }, 0])
    })
  )

  it.live("keeps an archive until it may be dropped", () =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "0.\n")
      const candidates: Array<string> = []
      for (let n = 1; n <= 3; n += 1) {
        yield* log.rotate(1, ([oldest = ""]) => candidates.push(text(oldest)) < 0)
        yield* put(log, `${n}.\n`)
      }
      assert.deepStrictEqual(
        [yield* readBack(log), candidates],
        [
          ["0.", "1.", "2.", "3."],
          ["1.\n", "1.\n"]
        ]
      )
      yield* log.rotate(1, always)
      assert.deepStrictEqual([names(file), yield* readBack(log)], [["log", "log.1"], ["3."]])
    })
  )

  it.live("succeeds after a rotation that was interrupted between two renames", () =>
    onFile(function* (file) {
      fs.writeFileSync(`${file}.2`, "one.\n")
      fs.writeFileSync(`${file}.new`, "")
      const { log } = yield* openOver(file, "two.\n")
      yield* log.rotate(5, always)
      yield* put(log, "three.\n")
      assert.deepStrictEqual(names(file), ["log", "log.1", "log.2"])
      assert.deepStrictEqual(yield* readBack(log), ["one.", "two.", "three."])
    })
  )

  it.live("continues in the old file if no new one can be created", () =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "old.\n")
      fs.mkdirSync(path.join(`${file}.new`, "in the way"), { recursive: true })
      yield* Effect.flip(log.rotate(5, always))
      yield* put(log, "new.\n")
      assert.deepStrictEqual([text(file), names(file)], ["old.\nnew.\n", ["log", "log.new"]])
    })
  )

  it.live("reads every line once while the file is rotated", () =>
    onFile(function* (file) {
      const lines = Array.from({ length: 40 }, (_, at) => `${at} ${"x".repeat(9_000)}.`)
      const { log } = yield* openOver(file, joined(lines.slice(0, 20)))
      yield* log.rotate(5, always)
      yield* log.append(joined(lines.slice(20)))
      const seen: Array<string> = []
      yield* log.readBackwards((line) => {
        if (seen.push(line) % 8 === 0) Effect.runSync(log.rotate(9, always))
        return true
      })
      assert.deepStrictEqual(
        seen.toReversed().map((line) => line.slice(0, 3)),
        lines.map((line) => line.slice(0, 3))
      )
    })
  )
})
