/**
 * A scan of files of any size and any kind: each secret once, at its position.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { ScanFinding } from "../../../../src/cli/commands/scan/Finding.ts"
import type { OwnValues } from "../../../../src/cli/commands/scan/ownValues.ts"
import { listed, openForScan, walk } from "../../../../src/cli/commands/scan/files.ts"
import { scanReport } from "../../../../src/cli/commands/scan/report.ts"
import { Scanner } from "../../../../src/cli/commands/scan/Scanner.ts"
import { Windows, windowSize } from "../../../../src/cli/commands/scan/Windows.ts"
import { DaemonUnavailable } from "../../../../src/rpc/client/client.ts"
import { fromClient } from "../../../../src/cli/command/CommandError.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"
import { randomFrom } from "../../../support/random.ts"

const token = ["gh", "p_", "abcdefghijKLMNOPQRST0123456789uvwxyz"].join("")
const patterns = { patterns: true, own: undefined }
const options = { paths: ["."], staged: false, recursive: true, excludes: [], own: undefined, notCompared: undefined }

/** Reads from memory, `chunk()` bytes at a time. */
const reader = (bytes: Buffer, chunk: () => number) => {
  let at = 0
  return (into: Buffer) => {
    const count = Math.min(chunk(), bytes.length - at)
    const copied = bytes.copy(into, 0, at, at + count)
    at += copied
    return copied
  }
}

/** The text in each encoding that Windows programs write. */
const encoded = (text: string): Readonly<Record<string, Buffer>> => {
  const utf16 = (marked: string) => Buffer.from(marked, "utf16le")
  const utf32 = (marked: string) => {
    const bytes = Buffer.alloc(Array.from(marked).length * 4)
    Array.from(marked).forEach((character, at) => bytes.writeUInt32LE(character.codePointAt(0) ?? 0, at * 4))
    return bytes
  }
  const marked = `\ufeff${text}`
  return {
    "UTF-8 with a mark": Buffer.from(marked),
    "UTF-16": utf16(marked),
    "UTF-16 without a mark": utf16(text),
    "UTF-16, the high byte first": utf16(marked).swap16(),
    "UTF-16 without a mark, the high byte first": utf16(text).swap16(),
    "UTF-32": utf32(marked),
    "UTF-32 without a mark": utf32(text),
    "UTF-32, the high byte first": utf32(marked).swap32(),
    "UTF-32 without a mark, the high byte first": utf32(text).swap32()
  }
}

const scanned = (text: string | Buffer) =>
  Effect.gen(function* () {
    const scan = new Scanner(patterns)
    yield* scan.scanFile(
      "f",
      reader(Buffer.from(text), () => 100_000)
    )
    return scan
  })

describe("a file", () => {
  it.effect("has each secret reported once, with its line and column, at any size", () =>
    Effect.gen(function* () {
      const random = randomFrom(20_260_222)
      const mebibyte = 1024 * 1024
      for (let round = 0; round < 4; round += 1) {
        const bytes = Buffer.alloc(3 * mebibyte + random.below(mebibyte), "-")
        for (let n = 0; n < 500; n += 1) bytes[random.below(bytes.length)] = 0x0a
        // Windows overlap by some 32 KiB before each mebibyte. There no match may be lost or reported twice.
        for (let n = 0; n < 300; n += 1) {
          const near = (1 + random.below(3)) * mebibyte - random.below(100_000)
          const start = near - (near % 64)
          bytes.write(`${token} `, start)
        }
        const lines = bytes.toString("latin1").split("\n")
        const expected = lines.flatMap((line, n) =>
          Array.from(line.matchAll(new RegExp(token, "g")), ({ index }) => ({ line: n + 1, column: index + 1 }))
        )
        const scan = new Scanner(patterns)
        yield* scan.scanFile(
          "f",
          reader(bytes, () => 1 + random.below(200_000))
        )
        assert.deepStrictEqual(
          scan.findings.map(({ column, line }) => ({ line, column })),
          expected
        )
      }
    })
  )

  it.effect("is never read into memory whole", () =>
    Effect.gen(function* () {
      const scan = new Scanner(patterns)
      let left = 200
      let [largest, given] = [0, 0]
      yield* scan.scanFile("f", (into) => {
        largest = Math.max(largest, into.length)
        left -= 1
        into.fill("x")
        const count = left < 0 ? 0 : Math.min(into.length, 64 * 1024)
        given += count
        return count
      })
      assert.deepStrictEqual([scan.bytes, scan.files], [given, 1])
      assert.isAtMost(largest, 1024 * 1024)
    })
  )

  it.effect("is skipped and counted if it is binary", () =>
    Effect.gen(function* () {
      const scan = yield* scanned(`\0\u0001 ${token}`)
      assert.deepStrictEqual([scan.findings.length, scan.binary, scan.files], [0, 1, 0])
    })
  )

  for (const [name, bytes] of Object.entries(encoded(`первая строка\r\n\u001b[31m€ = ${token}\r\n🔑\r\n`))) {
    it.effect(`is decoded if it is ${name}`, () =>
      Effect.gen(function* () {
        const scan = new Scanner(patterns)
        // Odd lengths cut characters and pairs.
        yield* scan.scanFile(
          "f",
          reader(bytes, () => 7)
        )
        assert.deepStrictEqual(
          scan.findings.map(({ column, line, what }) => ({ column, line, what })),
          [{ line: 2, column: 12, what: "GitHub token" }]
        )
        assert.deepStrictEqual([scan.binary, scan.files], [0, 1])
      })
    )
  }

  it.effect("is decoded at any size, with pairs at the edges of what is read at once", () =>
    Effect.gen(function* () {
      const lines = Array.from({ length: 9000 }, (_, at) => `${"🔑".repeat(at % 50)}${at % 1000 === 0 ? token : "x"}\n`)
      const scan = new Scanner(patterns)
      yield* scan.scanFile(
        "f",
        reader(Buffer.from(`\ufeff${lines.join("")}`, "utf16le"), () => 65_537)
      )
      assert.deepStrictEqual(
        scan.findings.map(({ column, line }) => [line, column]),
        Array.from({ length: 9 }, (_, n) => [n * 1000 + 1, 1])
      )
    })
  )

  it.effect("is not taken for text in another encoding if it is a program, an image or a list", () =>
    Effect.gen(function* () {
      const random = randomFrom(1)
      const noise = Buffer.from(Array.from({ length: 9000 }, () => random.below(256)))
      const list = Buffer.from(Array.from({ length: 500 }, (_, at) => `src/some/file${at}.ts\0`).join(""))
      const table = Buffer.from(Array.from({ length: 4000 }, (_, at) => (at % 4 === 0 ? at % 256 : 0)))
      for (const bytes of [noise, list, table]) {
        const scan = yield* scanned(bytes)
        assert.deepStrictEqual([scan.binary, scan.files], [1, 0])
      }
    })
  )

  it.effect("is not reported on lines with the allow marker, and only there", () =>
    Effect.gen(function* () {
      const scan = yield* scanned(`${token} # secrets-scan:allow\n${token}\n// secrets-scan:allow ${token}\n${token}`)
      assert.deepStrictEqual(
        scan.findings.map(({ line }) => line),
        [2, 4]
      )
    })
  )

  it.effect("is reported and sets the exit status if it cannot be read", () =>
    Effect.gen(function* () {
      const scan = yield* scanned("nothing here")
      assert.isUndefined(scanReport(scan, options).problem)
      const denied = Object.assign(new Error("denied"), { code: "EACCES" })
      yield* scan.scanFile("secret.txt", () => {
        throw denied
      })
      yield* scan.scanFile("blob", () => Promise.reject(denied))
      const { lines, problem } = scanReport(scan, options)
      assert.strictEqual(problem?.exitStatus, 9)
      assert.includeMembers([...(lines ?? [])], ["not read: secret.txt (EACCES)", "not read: blob (EACCES)"])
    })
  )

  it.effect("is reported by position, type and fingerprint, never by content", () =>
    Effect.gen(function* () {
      const password = "hunter2hunter2"
      const scan = yield* scanned(`${token}\nDB_PASS${"WORD="}${password}\n`)
      const { lines = [], problem, result } = scanReport(scan, options)
      assert.strictEqual(problem?.exitStatus, 1)
      assert.match(lines.join("\n"), /^f:1 +critical +GitHub token +[0-9a-f]{12}$/m)
      assert.match(lines.join("\n"), /^f:2 +medium +password$/m)
      const all = JSON.stringify([problem, result, lines])
      for (const shown of [token, token.slice(4, 12), password, password.slice(0, 4)]) assert.notInclude(all, shown)
    })
  )

  it.effect("is reported once, by the secret's name, if its token is also a value of the store", () =>
    Effect.gen(function* () {
      const candidates: Array<ScanFinding> = []
      const own: OwnValues = {
        values: 1,
        tooShort: [],
        omitted: 0,
        collect: (file, window) => {
          const position = { file, ...window.positionOf(window.bytes.indexOf(token)) }
          candidates.push({ ...position, severity: "critical", type: "own_value", what: "it", secret_name: "gh" })
        },
        isFull: () => false,
        resolve: Effect.sync(() => candidates.splice(0))
      }
      const scan = new Scanner({ patterns: true, own })
      yield* scan.scanFile(
        "f",
        reader(Buffer.from(`a ${token}\n${token}`), () => 1000)
      )
      yield* scan.resolveOwn()
      assert.deepStrictEqual(
        scan.findings.map(({ line, secret_name, type }) => [line, type, secret_name]),
        [
          [1, "own_value", "gh"],
          [2, "github_token", undefined]
        ]
      )
    })
  )

  it.effect("is scanned to its end when the daemon stops, which sets the exit status", () =>
    Effect.gen(function* () {
      const own: OwnValues = {
        values: 1,
        tooShort: [],
        omitted: 0,
        collect: () => undefined,
        isFull: () => true,
        resolve: Effect.fail(new DaemonUnavailable({ socketPath: "/s", code: "ENOENT" }))
      }
      const scan = new Scanner({ patterns: true, own })
      const look = (text: string) =>
        scan.scanFile(
          "f",
          reader(Buffer.from(text), () => 1000)
        )
      yield* look("nothing")
      assert.strictEqual(scan.ownError?._tag, "DaemonUnavailable")
      const problemOf = (more: object = {}) => scanReport(scan, { ...options, own, ...more }).problem
      const stopped = fromClient(new DaemonUnavailable({ socketPath: "/s", code: "ENOENT" }))
      assert.deepInclude(problemOf({ notCompared: stopped }), {
        message: "nothing found, but some values of the store were not compared: the daemon is not running",
        fix: "Start it with: secrets serve. To search for patterns alone, add --no-own",
        exitStatus: 11
      })
      assert.include(
        problemOf({ notCompared: stopped, own: undefined })?.message,
        "but the values of the store were not"
      )
      assert.deepInclude(problemOf({ own: { ...own, omitted: 1 } }), { exitStatus: 11 })
      assert.isUndefined(problemOf({ notCompared: "unwanted", own: undefined }))
      scan.unreadable.push({ file: "g", reason: "EACCES" })
      assert.strictEqual(problemOf({ notCompared: stopped })?.exitStatus, 9)
      yield* look(token)
      assert.strictEqual(problemOf({ notCompared: stopped })?.exitStatus, 1)
    })
  )

  it.effect("is reported up to a limit if it is full of secrets, and the rest is counted", () =>
    Effect.gen(function* () {
      const scan = yield* scanned(`${token}\n`.repeat(10_050))
      assert.deepStrictEqual([scan.findings.length, scan.omitted], [10_000, 50])
    })
  )
})

describe("a tree", () => {
  it.live("is walked completely, without following links or opening what is not a regular file", () =>
    Effect.gen(function* () {
      const root = yield* temporaryDirectory
      const outside = yield* temporaryDirectory
      fs.writeFileSync(path.join(outside, "secret"), token)
      fs.mkdirSync(path.join(root, "build", "deep"), { recursive: true })
      fs.mkdirSync(path.join(root, "node_modules"))
      for (const name of ["a", "build/b", "build/deep/c", "node_modules/d"]) fs.writeFileSync(path.join(root, name), "")
      fs.symlinkSync(outside, path.join(root, "link"))
      fs.symlinkSync(path.join(outside, "secret"), path.join(root, "build", "link"))
      const walkOptions = { recursive: true, excluded: new Set(["node_modules"]) }
      const names = (found: Iterable<{ path: string }>) =>
        Array.from(found, (one) => path.relative(root, one.path)).toSorted()
      assert.deepStrictEqual(names(walk(root, walkOptions)), ["a", "build/b", "build/deep/c"])
      assert.deepStrictEqual(names(walk(root, { ...walkOptions, recursive: false })), ["a"])
      // Directories above the root are not matched.
      assert.deepStrictEqual(names(walk(path.join(root, "build"), { recursive: true, excluded: new Set(["build"]) })), [
        "build/b",
        "build/deep/c"
      ])
      const list = Buffer.from("a\0a\0gone\0link/secret\0build/link\0build/b\0node_modules/d\0")
      assert.deepStrictEqual(names(listed(root, list, walkOptions)), ["a", "build/b"])
      // This is all that git lists of a submodule that is not checked out.
      assert.deepStrictEqual(names(listed(path.join(root, "build"), Buffer.from("./\0"), walkOptions)), [
        "build/b",
        "build/deep/c"
      ])
      assert.strictEqual(openForScan(path.join(root, "build", "link")), "ELOOP")
      assert.strictEqual(openForScan(root), "not a regular file")
    })
  )
})

it("a window keeps the overlap with the previous one", () => {
  const windows = new Windows(Buffer.allocUnsafe(windowSize))
  windows.advance(windows.room.fill("x").length)
  assert.isTrue(windows.isFull)
  const first = windows.window(false)
  const [from, to] = [first.from, first.to]
  windows.slide()
  const next = windows.window(true)
  assert.deepStrictEqual([from, next.from, next.to - next.from], [0, 256, 1024 * 1024 - to])
})
