/**
 * A failed write leaves the old contents and no other file. A new file has mode 0600
 * under any umask, and a backup keeps the previous contents.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import {
  FileError,
  readIfPresent,
  renameDurably,
  replaceFile,
  tightenMode
} from "../../../src/daemon/files/durableFile.ts"

/** Runs a test on a path in a temporary directory. */
const onFile = (test: (file: string) => Generator<Effect.Effect<unknown, unknown>, void, never>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "durable-file-"))),
    (directory) => Effect.gen(() => test(path.join(directory, "file"))),
    (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true }))
  )

const bytes = (...texts: ReadonlyArray<string>) => texts.map((text) => Buffer.from(text))
const text = (file: string) => fs.readFileSync(file, "utf8")
const mode = (file: string) => (fs.statSync(file).mode & 0o777).toString(8)
/** Lists the directory of a file. */
const names = (file: string) => fs.readdirSync(path.dirname(file)).toSorted()

describe("replaceFile", () => {
  it.live("writes a new file from chunks and leaves no other file", () =>
    onFile(function* (file) {
      yield* replaceFile(file, bytes("one ", "", "two"))
      assert.strictEqual(text(file), "one two")
      assert.deepStrictEqual(names(file), ["file"])
    })
  )

  it.live("writes an empty file from no chunks", () =>
    onFile(function* (file) {
      yield* replaceFile(file, bytes("old"))
      yield* replaceFile(file, [])
      assert.strictEqual(text(file), "")
    })
  )

  it.live.each(["000", "022", "077", "177", "277", "777"])("creates mode 0600 under the umask %s", (umask) =>
    onFile(function* (file) {
      fs.writeFileSync(file, "old")
      fs.chmodSync(file, 0o644)
      yield* Effect.acquireUseRelease(
        Effect.sync(() => process.umask(Number.parseInt(umask, 8))),
        () => replaceFile(file, bytes("new")),
        (before) => Effect.sync(() => process.umask(before))
      )
      assert.deepStrictEqual([text(file), mode(file)], ["new", "600"])
    })
  )

  it.live("runs `before` when all chunks are written and the old file still has the name", () =>
    onFile(function* (file) {
      yield* replaceFile(file, bytes("old"))
      const seen: Array<readonly [old: string, next: string]> = []
      const before = Effect.sync(() => void seen.push([text(file), text(`${file}.tmp`)]))
      yield* replaceFile(file, bytes("new ", "one"), { before })
      assert.deepStrictEqual(seen, [["old", "new one"]])
      assert.strictEqual(text(file), "new one")
    })
  )

  it.live("leaves only the old file if `before` fails", () =>
    onFile(function* (file) {
      yield* replaceFile(file, bytes("old"))
      const error = new FileError({ operation: "write", path: "elsewhere", cause: new Error("no room") })
      const failed = yield* Effect.flip(replaceFile(file, bytes("new"), { before: Effect.fail(error) }))
      assert.strictEqual(failed, error)
      assert.strictEqual(text(file), "old")
      assert.deepStrictEqual(names(file), ["file"])
    })
  )

  it.live("keeps the previous contents as the backup", () =>
    onFile(function* (file) {
      const backup = `${file}.bak`
      yield* replaceFile(file, bytes("first"), { backup })
      assert.deepStrictEqual(names(file), ["file"])
      yield* replaceFile(file, bytes("second"), { backup })
      assert.deepStrictEqual([text(file), text(backup)], ["second", "first"])
      yield* replaceFile(file, bytes("third"), { backup })
      assert.deepStrictEqual([text(file), text(backup)], ["third", "second"])
      assert.deepStrictEqual([names(file), mode(backup)], [["file", "file.bak"], "600"])
    })
  )

  it.live.each(["EPERM", "ENOTSUP", "ENOSYS", "EMLINK", "EACCES", "EXDEV"])(
    "keeps a copy as the backup where a hard link fails with %s",
    (code) =>
      onFile(function* (file) {
        const backup = `${file}.bak`
        fs.writeFileSync(file, "old")
        yield* Effect.acquireUseRelease(
          Effect.sync(() => {
            const link = fs.promises.link
            fs.promises.link = () => Promise.reject(Object.assign(new Error(code), { code }))
            return link
          }),
          () => replaceFile(file, bytes("new"), { backup }),
          (link) => Effect.sync(() => void (fs.promises.link = link))
        )
        assert.deepStrictEqual([text(file), text(backup)], ["new", "old"])
        assert.deepStrictEqual([names(file), mode(backup)], [["file", "file.bak"], "600"])
      })
  )

  it.live("succeeds after a crash left the backup and the file as one inode", () =>
    onFile(function* (file) {
      const backup = `${file}.bak`
      fs.writeFileSync(file, "old")
      fs.linkSync(file, backup)
      fs.writeFileSync(`${file}.tmp`, "half of the")
      fs.linkSync(file, `${backup}.tmp`)
      yield* replaceFile(file, bytes("new"), { backup })
      assert.deepStrictEqual([text(file), text(backup)], ["new", "old"])
      assert.deepStrictEqual(names(file), ["file", "file.bak"])
    })
  )

  it.live("does not write through a symbolic link at the temporary name", () =>
    onFile(function* (file) {
      fs.writeFileSync(`${file}.other`, "theirs")
      fs.symlinkSync(`${file}.other`, `${file}.tmp`)
      yield* replaceFile(file, bytes("new"))
      assert.deepStrictEqual([text(file), text(`${file}.other`)], ["new", "theirs"])
      assert.isFalse(fs.lstatSync(file).isSymbolicLink())
    })
  )

  it.live("leaves the old contents if the new ones fail half-way", () =>
    onFile(function* (file) {
      const backup = `${file}.bak`
      yield* replaceFile(file, bytes("old"))
      const breaksOff = function* () {
        yield* bytes("ne")
        throw new Error("no more")
      }
      const error = yield* Effect.flip(replaceFile(file, breaksOff(), { backup }))
      assert.strictEqual(error.message, `cannot write ${file}: no more`)
      assert.deepStrictEqual([text(file), names(file)], ["old", ["file"]])
    })
  )

  it.live("never renames a file that is shorter than what was written", () =>
    onFile(function* (file) {
      yield* replaceFile(file, bytes("old"))
      const shortened = function* () {
        yield* bytes("new")
        fs.truncateSync(`${file}.tmp`, 1)
      }
      const error = yield* Effect.flip(replaceFile(file, shortened()))
      assert.strictEqual(error.message, `cannot write ${file}: wrote 1 of 3 bytes`)
      assert.deepStrictEqual([text(file), names(file)], ["old", ["file"]])
    })
  )

  it.live("leaves only the old contents if the backup fails", () =>
    onFile(function* (file) {
      const backup = `${file}.bak`
      fs.mkdirSync(backup)
      fs.writeFileSync(file, "old")
      yield* Effect.flip(replaceFile(file, bytes("new"), { backup }))
      assert.deepStrictEqual([text(file), names(file)], ["old", ["file", "file.bak"]])
    })
  )

  it.live("fails and leaves a directory at the target", () =>
    onFile(function* (file) {
      fs.mkdirSync(file)
      fs.writeFileSync(path.join(file, "inside"), "theirs")
      const error = yield* Effect.flip(replaceFile(file, bytes("new")))
      assert.match(error.code, /^(EISDIR|ENOTEMPTY|EEXIST)$/)
      assert.deepStrictEqual([names(file), fs.readdirSync(file)], [["file"], ["inside"]])
    })
  )

  it.live("fails if the parent does not exist, and does not create it", () =>
    onFile(function* (file) {
      const nowhere = path.join(file, "file")
      const error = yield* Effect.flip(replaceFile(nowhere, bytes("new")))
      assert.strictEqual(error.code, "ENOENT")
      assert.strictEqual(error.message, `cannot write ${nowhere}: ENOENT: no such file or directory`)
      assert.deepStrictEqual(names(file), [])
    })
  )

  it.live("completes before it is interrupted", () =>
    onFile(function* (file) {
      const begun = Promise.withResolvers<void>()
      const more = Promise.withResolvers<void>()
      const slowly = async function* () {
        yield* bytes("ne")
        begun.resolve()
        await more.promise
        yield* bytes("w")
      }
      const writing = Effect.runFork(replaceFile(file, slowly()))
      yield* Effect.promise(() => begun.promise)
      const stopping = Effect.runFork(Fiber.interrupt(writing))
      yield* Effect.yieldNow
      assert.isUndefined(stopping.pollUnsafe())
      more.resolve()
      yield* Fiber.join(stopping)
      assert.deepStrictEqual([text(file), names(file)], ["new", ["file"]])
    })
  )
})

describe("readIfPresent", () => {
  it.live("reads a file, returns undefined if there is none, and rejects other file types", () =>
    onFile(function* (file) {
      assert.isUndefined(yield* readIfPresent(file))
      fs.writeFileSync(file, Uint8Array.of(0, 0xff))
      assert.deepStrictEqual(yield* readIfPresent(file), Buffer.from([0, 0xff]))
      execFileSync("mkfifo", [`${file}.pipe`])
      for (const other of [path.dirname(file), `${file}.pipe`]) {
        const error = yield* Effect.flip(readIfPresent(other))
        assert.strictEqual(error.message, `cannot read ${other}: not a regular file`)
      }
    })
  )
})

describe("renameDurably", () => {
  it.live("renames a file over an existing one", () =>
    onFile(function* (file) {
      fs.writeFileSync(file, "new")
      fs.writeFileSync(`${file}.to`, "old")
      yield* renameDurably(file, `${file}.to`)
      assert.deepStrictEqual([text(`${file}.to`), names(file)], ["new", ["file.to"]])
      const error = yield* Effect.flip(renameDurably(file, `${file}.to`))
      assert.strictEqual(error.message, `cannot rename ${file}: ENOENT: no such file or directory`)
    })
  )
})

describe("tightenMode", () => {
  it.live("leaves a pipe unchanged", () =>
    onFile(function* (file) {
      execFileSync("mkfifo", [file])
      fs.chmodSync(file, 0o666)
      assert.isFalse(yield* tightenMode(file, 0o600))
      assert.strictEqual(mode(file), "666")
    })
  )

  it.live.each([
    ["644", true, "600"],
    ["601", true, "600"],
    ["600", false, "600"],
    ["400", false, "400"]
  ] as const)("given mode %s returns %s and leaves mode %s", ([before, changed, after]) =>
    onFile(function* (file) {
      fs.writeFileSync(file, "")
      fs.chmodSync(file, before)
      assert.strictEqual(yield* tightenMode(file, 0o600), changed)
      assert.strictEqual(mode(file), after)
    })
  )
})
