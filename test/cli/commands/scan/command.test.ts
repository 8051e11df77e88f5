/**
 * A scan of files of any size and any form: each secret once, at its place.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { ScanFinding } from "../../../../src/cli/commands/scan/Finding.ts"
import type { OwnValues } from "../../../../src/cli/commands/scan/ownValues.ts"
import { listed, openForScan, walk } from "../../../../src/cli/commands/scan/files.ts"
import { scanReport } from "../../../../src/cli/commands/scan/report.ts"
import { Scan } from "../../../../src/cli/commands/scan/Scan.ts"
import { Windows } from "../../../../src/cli/commands/scan/Windows.ts"
import { DaemonUnavailable } from "../../../../src/rpc/client/client.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"
import { randomFrom } from "../../../support/random.ts"

const token = ["gh", "p_", "abcdefghijKLMNOPQRST0123456789uvwxyz"].join("")
const patterns = { patterns: true, own: undefined }
const asked = { paths: ["."], staged: false, recursive: true, excludes: [], own: undefined, ownMissing: undefined }

/** Reads from memory, as many bytes at a time as the pieces say. */
const reader = (bytes: Buffer, piece: () => number) => {
  let at = 0
  return (into: Buffer) => {
    const count = Math.min(piece(), bytes.length - at)
    const copied = bytes.copy(into, 0, at, at + count)
    at += copied
    return copied
  }
}

const scanned = (text: string | Buffer) =>
  Effect.gen(function* () {
    const scan = new Scan(patterns)
    yield* scan.look(
      "f",
      reader(Buffer.from(text), () => 100_000)
    )
    return scan
  })

describe("a file", () => {
  it.effect("of any size has each secret found once, with its line and column", () =>
    Effect.gen(function* () {
      const random = randomFrom(20_260_222)
      const mebibyte = 1024 * 1024
      for (let round = 0; round < 4; round += 1) {
        const bytes = Buffer.alloc(3 * mebibyte + random.below(mebibyte), "-")
        for (let n = 0; n < 500; n += 1) bytes[random.below(bytes.length)] = 0x0a
        // Windows begin anew some 32 KiB before each mebibyte; around there it must not be lost or told twice.
        for (let n = 0; n < 300; n += 1) {
          const near = (1 + random.below(3)) * mebibyte - random.below(100_000)
          const start = near - (near % 64)
          bytes.write(`${token} `, start)
        }
        const lines = bytes.toString("latin1").split("\n")
        const expected = lines.flatMap((line, n) =>
          Array.from(line.matchAll(new RegExp(token, "g")), ({ index }) => ({ line: n + 1, column: index + 1 }))
        )
        const scan = new Scan(patterns)
        yield* scan.look(
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

  it.effect("is never held whole", () =>
    Effect.gen(function* () {
      const scan = new Scan(patterns)
      let left = 200
      let [largest, given] = [0, 0]
      yield* scan.look("f", (into) => {
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

  it.effect("that is binary is passed over, and counted", () =>
    Effect.gen(function* () {
      const scan = yield* scanned(`\0\u0001 ${token}`)
      assert.deepStrictEqual([scan.findings.length, scan.binary, scan.files], [0, 1, 0])
    })
  )

  it.effect("is not reported where its line allows it, and only there", () =>
    Effect.gen(function* () {
      const scan = yield* scanned(`${token} # secrets-scan:allow\n${token}\n// secrets-scan:allow ${token}\n${token}`)
      assert.deepStrictEqual(
        scan.findings.map(({ line }) => line),
        [2, 4]
      )
    })
  )

  it.effect("that cannot be read is told, and the exit status says so", () =>
    Effect.gen(function* () {
      const scan = yield* scanned("nothing here")
      assert.isUndefined(scanReport(scan, asked).problem)
      const denied = Object.assign(new Error("denied"), { code: "EACCES" })
      yield* scan.look("secret.txt", () => {
        throw denied
      })
      yield* scan.look("blob", () => Promise.reject(denied))
      const { problem, text } = scanReport(scan, asked)
      assert.strictEqual(problem?.exitStatus, 9)
      assert.include(text, "not read: secret.txt (EACCES)\nnot read: blob (EACCES)\n")
    })
  )

  it.effect("is reported by place, kind and digest, and never by what it holds", () =>
    Effect.gen(function* () {
      const password = "hunter2hunter2"
      const scan = yield* scanned(`${token}\nDB_PASS${"WORD="}${password}\n`)
      const { problem, result, text } = scanReport(scan, asked)
      assert.strictEqual(problem?.exitStatus, 1)
      assert.match(text ?? "", /^f:1 +critical +GitHub token +[0-9a-f]{12}$/m)
      assert.match(text ?? "", /^f:2 +medium +password$/m)
      const all = JSON.stringify([problem, result, text])
      for (const shown of [token, token.slice(4, 12), password, password.slice(0, 4)]) assert.notInclude(all, shown)
    })
  )

  it.effect("with a token that is the store's own is told once, by the name it has there", () =>
    Effect.gen(function* () {
      const notes: Array<ScanFinding> = []
      const own: OwnValues = {
        values: 1,
        tooShort: [],
        leftOut: 0,
        lookAt: (file, window) => {
          const place = { file, ...window.positionOf(window.bytes.indexOf(token)) }
          notes.push({ ...place, severity: "critical", type: "own_value", what: "it", secret_name: "gh" })
        },
        isFull: () => false,
        settle: Effect.sync(() => notes.splice(0))
      }
      const scan = new Scan({ patterns: true, own })
      yield* scan.look(
        "f",
        reader(Buffer.from(`a ${token}\n${token}`), () => 1000)
      )
      yield* scan.settle(true)
      assert.deepStrictEqual(
        scan.findings.map(({ line, secret_name, type }) => [line, type, secret_name]),
        [
          [1, "own_value", "gh"],
          [2, "github_token", undefined]
        ]
      )
    })
  )

  it.effect("is looked through to its end when the daemon goes, and the exit status says so", () =>
    Effect.gen(function* () {
      const own: OwnValues = {
        values: 1,
        tooShort: [],
        leftOut: 0,
        lookAt: () => undefined,
        isFull: () => true,
        settle: Effect.fail(new DaemonUnavailable({ socketPath: "/s", code: "ENOENT" }))
      }
      const scan = new Scan({ patterns: true, own })
      const look = (text: string) =>
        scan.look(
          "f",
          reader(Buffer.from(text), () => 1000)
        )
      yield* look("nothing")
      assert.strictEqual(scanReport(scan, { ...asked, own }).problem?.exitStatus, 9)
      yield* look(token)
      assert.strictEqual(scanReport(scan, { ...asked, own }).problem?.exitStatus, 1)
    })
  )

  it.effect("full of secrets is told in part, and its rest counted", () =>
    Effect.gen(function* () {
      const scan = yield* scanned(`${token}\n`.repeat(10_050))
      assert.deepStrictEqual([scan.findings.length, scan.unkept], [10_000, 50])
    })
  )
})

describe("a tree", () => {
  it.live("is walked without following links, opening what is no file, or leaving anything out", () =>
    Effect.gen(function* () {
      const root = yield* temporaryDirectory
      const outside = yield* temporaryDirectory
      fs.writeFileSync(path.join(outside, "secret"), token)
      fs.mkdirSync(path.join(root, "build", "deep"), { recursive: true })
      fs.mkdirSync(path.join(root, "node_modules"))
      for (const name of ["a", "build/b", "build/deep/c", "node_modules/d"]) fs.writeFileSync(path.join(root, name), "")
      fs.symlinkSync(outside, path.join(root, "link"))
      fs.symlinkSync(path.join(outside, "secret"), path.join(root, "build", "link"))
      const choice = { recursive: true, excluded: new Set(["node_modules"]) }
      const names = (found: Iterable<{ path: string }>) =>
        Array.from(found, (one) => path.relative(root, one.path)).toSorted()
      assert.deepStrictEqual(names(walk(root, choice)), ["a", "build/b", "build/deep/c"])
      assert.deepStrictEqual(names(walk(root, { ...choice, recursive: false })), ["a"])
      // The components above the root do not count.
      assert.deepStrictEqual(names(walk(path.join(root, "build"), { recursive: true, excluded: new Set(["build"]) })), [
        "build/b",
        "build/deep/c"
      ])
      const list = Buffer.from("a\0a\0gone\0link/secret\0build/link\0build/b\0node_modules/d\0")
      assert.deepStrictEqual(names(listed(root, list, choice)), ["a", "build/b"])
      // This is all that git says of the place of a submodule that is not there.
      assert.deepStrictEqual(names(listed(path.join(root, "build"), Buffer.from("./\0"), choice)), [
        "build/b",
        "build/deep/c"
      ])
      assert.strictEqual(openForScan(path.join(root, "build", "link")), "ELOOP")
      assert.strictEqual(openForScan(root), "it is not a regular file")
    })
  )
})

it("a window keeps of the last what could go on", () => {
  const windows = new Windows()
  windows.filled(windows.room.fill("x").length)
  assert.isTrue(windows.isFull)
  const first = windows.window(false)
  const [from, to] = [first.from, first.to]
  windows.slide()
  const next = windows.window(true)
  assert.deepStrictEqual([from, next.from, next.to - next.from], [0, 256, 1024 * 1024 - to])
})
