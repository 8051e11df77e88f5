/**
 * What was appended is what is read, forwards and backwards, across the pieces it is
 * read in. A torn last line is cut off and saved, a failed append leaves nothing
 * behind, and a file that was moved away is followed by a new one of its name.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
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
import type { FileFault } from "../../src/daemon/durableFile.ts"
import type { LogFile } from "../../src/daemon/LogFile.ts"
import { open } from "../../src/daemon/LogFile.ts"

/** A full or broken disk: the calls named here fail, a write after half of its bytes. */
const broken = new Set<string>()
const refuse = (call: string) => Object.assign(new Error(`EIO: i/o error, ${call}`), { code: "EIO" })
const real = { writeSync: fs.writeSync, fdatasync: fs.fdatasync, ftruncateSync: fs.ftruncateSync }

beforeAll(() => {
  Object.assign(nodeFs, {
    writeSync: (fd: number, bytes: Uint8Array, from: number, length: number) => {
      const written = real.writeSync(fd, bytes, from, broken.has("write") ? length >> 1 : length)
      if (broken.has("write")) throw refuse("write")
      return written
    },
    fdatasync: (fd: number, done: fs.NoParamCallback) =>
      broken.has("fdatasync") ? done(refuse("fdatasync")) : real.fdatasync(fd, done),
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

/** Whole lines end in a full stop. */
const isLine = (line: string) => line.endsWith(".")
const now = 1_800_000_000_000

/** Runs a test on a path in a directory of its own. */
const onFile = (test: (file: string) => Generator<Effect.Effect<unknown, unknown, Scope.Scope>, void, never>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "log-file-"))),
    (directory) => Effect.scoped(Effect.gen(() => test(path.join(directory, "log")))),
    (directory) =>
      Effect.sync(() => {
        broken.clear()
        fs.rmSync(directory, { recursive: true })
      })
  )

/** Opens a log over these contents. */
const openOver = (file: string, contents: string | Uint8Array) => {
  fs.writeFileSync(file, contents, { mode: 0o600 })
  return open(file, isLine, now)
}
const text = (file: string) => fs.readFileSync(file, "utf8")
const mode = (file: string) => fs.statSync(file).mode & 0o777
const joined = (lines: ReadonlyArray<string>) => lines.map((line) => `${line}\n`).join("")

const readBack = Effect.fnUntraced(function* (log: LogFile, end?: number) {
  const lines: Array<string> = []
  yield* log.backwards((line) => lines.push(line) > 0, end)
  return lines.toReversed()
})

describe("reading", () => {
  const Line = Schema.String.check(Schema.isPattern(/^[^\n]+$/), Schema.isMaxLength(30))
  const Batches = Schema.Array(Schema.Array(Line)).check(Schema.isMaxLength(4))

  it.live.prop(
    "gives the lines that were appended, in both directions and from every place",
    [Batches],
    ([batches]) =>
      onFile(function* (file) {
        const { log } = yield* open(file, isLine, now)
        for (const lines of batches) yield* log.append(joined(lines))
        const all = batches.flat().map((line) => line.toWellFormed())
        assert.strictEqual(text(file), joined(all))
        assert.strictEqual(log.size(), fs.statSync(file).size)
        for (let at = 0; at <= all.length; at += 1) {
          const offset = Buffer.byteLength(joined(all.slice(0, at)))
          assert.deepStrictEqual(yield* readBack(log, offset), all.slice(0, at))
          assert.deepStrictEqual(yield* log.forwards(offset), all.slice(at))
        }
      }),
    { arbitrary: { runs: 25 } }
  )

  const piece = 64 * 1024
  it.live.each([
    ["one short of a piece", [piece - 1]],
    ["as long as a piece", [piece]],
    ["one longer than a piece", [piece + 1]],
    ["shorter and longer ones", [100, piece - 100, 1, 2 * piece, piece - 1, 3]],
    ["much longer than a piece", [3 * piece + 5, 2]]
  ] as const)("joins lines across pieces: %s", ([, lengths]) =>
    onFile(function* (file) {
      // Lengths with the line feed; three bytes to a character, so that pieces end within one.
      const lines = lengths.map((length) => "世".repeat((length - 1) / 3) + "x".repeat((length - 1) % 3))
      const { log } = yield* openOver(file, joined(lines))
      const kept = lines.filter((line) => line !== "")
      assert.isTrue(joined(yield* readBack(log)) === joined(kept))
      assert.isTrue(joined(yield* log.forwards(0)) === joined(kept))
    })
  )

  it.live("gives nothing that is not known to be on the disk", () =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "one.\n")
      fs.appendFileSync(file, "not flushed.\n")
      assert.deepStrictEqual([yield* readBack(log), yield* log.forwards(0)], [["one."], ["one."]])
    })
  )

  it.live("stops when it is told to", () =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "one.\ntwo.\nthree.\n")
      const seen: Array<string> = []
      yield* log.backwards((line) => seen.push(line) < 2)
      assert.deepStrictEqual(seen, ["three.", "two."])
    })
  )

  it.live.each([["stays"], ["is moved away"]])("gives what was there when it began, while the file %s", ([fate]) =>
    onFile(function* (file) {
      const lines = Array.from({ length: 30 }, (_, at) => `${at} ${"x".repeat(9_000)}.`)
      const { log } = yield* openOver(file, joined(lines))
      const seen: Array<string> = []
      const appending: Array<Fiber.Fiber<void, FileFault>> = []
      yield* log.backwards((line) => {
        if (seen.push(line) > 1) return true
        if (fate === "is moved away") fs.renameSync(file, `${file}.1`)
        return appending.push(Effect.runFork(log.append("new.\n"))) > 0
      })
      yield* Fiber.joinAll(appending)
      const inShort = (line: string) => `${line.slice(0, 3)} of ${line.length}`
      assert.deepStrictEqual(seen.toReversed().map(inShort), lines.map(inShort))
      assert.isTrue(text(file).endsWith("new.\n"))
    })
  )
})

describe("opening", () => {
  it.live("makes an empty file of mode 0600, and leaves whole lines as they are but not open to others", () =>
    onFile(function* (file) {
      const made = yield* open(file, isLine, now)
      assert.deepStrictEqual([text(file), mode(file), made.log.size(), made.torn], ["", 0o600, 0, undefined])
      fs.writeFileSync(file, "one.\nodd\n")
      fs.chmodSync(file, 0o644)
      const found = yield* open(file, isLine, now)
      assert.deepStrictEqual([text(file), mode(file), found.log.size()], ["one.\nodd\n", 0o600, 9])
      assert.deepStrictEqual([found.torn, fs.readdirSync(path.dirname(file))], [undefined, ["log"]])
    })
  )

  it.live.each([
    ["behind other lines", "one.\n", "tw"],
    ["alone", "", "tw"],
    ["within a character", "one.\n", Buffer.from("世").subarray(0, 2)],
    ["longer than a piece", "one.\n", "x".repeat(150_000)],
    ["of zeros", "one.\n", "\u0000".repeat(9)]
  ] as const)("cuts off a torn line and saves it: %s", ([, whole, tail]) =>
    onFile(function* (file) {
      const { log, torn } = yield* openOver(file, Buffer.concat([Buffer.from(whole), Buffer.from(tail)]))
      const savedAs = `${file}.torn-${now}`
      assert.deepStrictEqual(torn, { bytes: tail.length, savedAs })
      assert.isTrue(fs.readFileSync(savedAs).equals(Buffer.from(tail)))
      assert.deepStrictEqual([mode(savedAs), log.size(), text(file)], [0o600, whole.length, whole])
      yield* log.append("next.\n")
      assert.strictEqual(text(file), `${whole}next.\n`)
    })
  )

  it.live("adds the line feed to a whole line that lacks only that", () =>
    onFile(function* (file) {
      const { log, torn } = yield* openOver(file, "one.\ntwo.")
      assert.deepStrictEqual(torn, { bytes: 4, savedAs: undefined })
      assert.deepStrictEqual(fs.readdirSync(path.dirname(file)), ["log"])
      assert.strictEqual(log.size(), 10)
      yield* log.append("next.\n")
      assert.strictEqual(text(file), "one.\ntwo.\nnext.\n")
    })
  )

  it.live("refuses what is not a regular file", () =>
    onFile(function* (file) {
      execFileSync("mkfifo", [file])
      const fault = yield* Effect.flip(open(file, isLine, now))
      assert.strictEqual(fault.message, `cannot open ${file}: not a regular file`)
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
  ] as const)("goes on in a file of the same name when the old one was %s", ([how, move, found]) =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "old.\n")
      move(file)
      yield* log.append("new.\n")
      yield* log.append("newer.\n")
      assert.deepStrictEqual([text(file), mode(file)], [`${found}new.\nnewer.\n`, 0o600])
      assert.strictEqual(log.size(), fs.statSync(file).size)
      assert.deepStrictEqual((yield* readBack(log)).slice(-2), ["new.", "newer."])
      if (how !== "removed") assert.strictEqual(text(`${file}.1`), "old.\n")
    })
  )

  it.live.each([["write"], ["fdatasync"]] as const)("leaves nothing of an append that fails at %s", ([call]) =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "old.\n")
      broken.add(call)
      const fault = yield* Effect.flip(log.append("lost, all of it.\n"))
      assert.deepStrictEqual([fault.code, text(file), log.size()], ["EIO", "old.\n", 5])
      broken.clear()
      yield* log.append("new.\n")
      assert.deepStrictEqual([text(file), log.size()], ["old.\nnew.\n", 10])
    })
  )

  it.live("cuts the rest of a failed append off as soon as it can", () =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "old.\n")
      broken.add("write").add("ftruncate")
      yield* Effect.flip(log.append("lost.\n"))
      broken.delete("write")
      yield* Effect.flip(log.append("lost too.\n"))
      assert.deepStrictEqual([log.size(), yield* readBack(log)], [5, ["old."]])
      broken.clear()
      yield* log.append("new.\n")
      assert.strictEqual(text(file), "old.\nnew.\n")
    })
  )

  it.live.each([
    ["a directory", (file: string) => fs.mkdirSync(file), /^cannot append to .*log: EISDIR: /],
    ["a pipe", (file: string) => execFileSync("mkfifo", [file]), /^cannot append to .*log: not a regular file$/]
  ] as const)("fails where %s took the place of the file, and goes on when that is gone", ([, block, message]) =>
    onFile(function* (file) {
      const { log } = yield* openOver(file, "old.\n")
      moveAway(file)
      block(file)
      assert.match((yield* Effect.flip(log.append("lost.\n"))).message, message)
      assert.deepStrictEqual([log.size(), yield* readBack(log)], [5, ["old."]])
      fs.rmSync(file, { recursive: true })
      fs.renameSync(`${file}.1`, file)
      yield* log.append("new.\n")
      assert.strictEqual(text(file), "old.\nnew.\n")
    })
  )
})
