/**
 * Both layers keep entries in order and read them from the end. In a file, a torn
 * line is repaired.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { revokeRefusedFact } from "../../../src/domain/leaseFacts.ts"
import { addFact } from "../../../src/domain/storeFacts.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { memoryAuditLog } from "../../support/memoryAuditLog.ts"

const inFile = Layer.unwrap(
  Effect.map(temporaryDirectory, (directory) => AuditLog.layer(path.join(directory, "audit.log")))
)

for (const [name, layer] of [
  ["in memory", memoryAuditLog],
  ["in a file", inFile]
] as const) {
  describe(`AuditLog ${name}`, () => {
    it.effect("returns the last entries, oldest first", () =>
      Effect.gen(function* () {
        const audit = yield* AuditLog
        for (const id of ["1", "2", "3", "4"]) yield* audit.append([revokeRefusedFact(id)])
        const last = yield* audit.tail(2)
        assert.deepStrictEqual(
          last.map(({ lease_id }) => lease_id),
          ["3", "4"]
        )
        assert.strictEqual((yield* audit.tail(100)).length, 4)
        assert.deepStrictEqual(yield* audit.tail(0), [])
      }).pipe(Effect.provide(layer))
    )

    it.effect("stamps all facts of one append with the current time", () =>
      Effect.gen(function* () {
        const audit = yield* AuditLog
        yield* TestClock.adjust("90 seconds")
        yield* audit.append([addFact("a"), addFact("b")])
        const times = (yield* audit.tail(2)).map(({ timestamp }) => new Date(timestamp).getTime())
        assert.deepStrictEqual(times, [90_000, 90_000])
      }).pipe(Effect.provide(layer))
    )

    it.effect("returns the entries after a position, and none for a position of another log", () =>
      Effect.gen(function* () {
        const audit = yield* AuditLog
        const start = yield* audit.position
        yield* audit.append([addFact("a")])
        const behindA = yield* audit.position
        yield* audit.append([addFact("b")])
        const since = yield* audit.since(behindA)
        assert.deepStrictEqual(
          Option.getOrThrow(since).map(({ secret_name }) => secret_name),
          ["b"]
        )
        assert.strictEqual(Option.getOrThrow(yield* audit.since(start)).length, 2)
        assert.deepStrictEqual(Option.getOrThrow(yield* audit.since(yield* audit.position)), [])
        assert.isTrue(Option.isNone(yield* audit.since({ ...behindA, line: start.line })))
        assert.isTrue(Option.isNone(yield* audit.since({ ...behindA, seq: 7 })))
      }).pipe(Effect.provide(layer))
    )
  })
}

describe("AuditLog in its file", () => {
  const open = <A, E>(file: string, program: Effect.Effect<A, E, AuditLog>) =>
    Effect.provide(program, Layer.fresh(AuditLog.layer(file)))
  const names = Effect.map(
    AuditLog.use((audit) => audit.tail(100)),
    (entries) => entries.map(({ action, secret_name }) => secret_name ?? action)
  )

  it.effect("writes compact lines with a line feed, in a file with mode 0600", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "audit.log")
      yield* open(
        file,
        AuditLog.use((audit) => audit.append([addFact("<a>")]))
      )
      const text = fs.readFileSync(file, "utf8")
      assert.match(
        text,
        /^\{"timestamp":"[^"]+","action":"secret_add","secret_name":"\\u003ca\\u003e","success":true,"seq":1,"prev":"[0-9a-f]{64}"\}\n$/
      )
      assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
    })
  )

  it.effect("cuts off a torn last line, saves it beside the log and records that", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = path.join(directory, "audit.log")
      yield* open(
        file,
        AuditLog.use((audit) => audit.append([addFact("a")]))
      )
      fs.appendFileSync(file, '{"timestamp":"2026')
      assert.deepStrictEqual(yield* open(file, names), ["a", "file_mended"])
      const saved = fs.readdirSync(directory).filter((name) => name.startsWith("audit.log.torn-"))
      assert.deepStrictEqual(
        saved.map((name) => fs.readFileSync(path.join(directory, name), "utf8")),
        ['{"timestamp":"2026']
      )
    })
  )

  it.effect("keeps a complete last line without a line feed", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "audit.log")
      fs.writeFileSync(
        file,
        '{"timestamp":"2026-11-22T00:00:00Z","action":"secret_add","secret_name":"a","success":true}'
      )
      assert.deepStrictEqual(yield* open(file, names), ["a", "audit_adopt", "file_mended"])
    })
  )

  it.effect("returns no more characters than requested, for any number of entries", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "audit.log")
      const some = Effect.gen(function* () {
        const audit = yield* AuditLog
        yield* audit.append(Array.from({ length: 100 }, () => addFact("x".repeat(1_000))))
        return (yield* audit.tail(100, 10_000)).length
      })
      const count = yield* open(file, some)
      assert.isTrue(count >= 8 && count <= 10, `${count}`)
    })
  )

  it.effect("skips lines that are not entries", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "audit.log")
      const entry = (name: string) =>
        `{"timestamp":"2026-11-22T00:00:00Z","action":"x","secret_name":"${name}","success":true}`
      fs.writeFileSync(file, `${entry("a")}\nnot JSON\n[]\n\n${entry("b")}\n`)
      assert.deepStrictEqual(yield* open(file, names), ["a", "b", "audit_adopt"])
      const last = open(
        file,
        AuditLog.use((audit) => audit.tail(2))
      )
      assert.strictEqual((yield* last).length, 2)
    })
  )

  it.effect("continues in a new file when the log was moved", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "audit.log")
      yield* open(
        file,
        Effect.gen(function* () {
          const audit = yield* AuditLog
          yield* audit.append([addFact("a")])
          fs.renameSync(file, `${file}.1`)
          yield* audit.append([addFact("b")])
          assert.deepStrictEqual(yield* names, ["a", "audit_damaged", "b"])
        })
      )
      assert.include(fs.readFileSync(`${file}.1`, "utf8"), '"secret_name":"a"')
    })
  )

  it.effect("continues in a log that was truncated to nothing", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "audit.log")
      yield* open(
        file,
        Effect.gen(function* () {
          const audit = yield* AuditLog
          yield* audit.append([addFact("a")])
          fs.truncateSync(file, 0)
          yield* audit.append([addFact("b")])
          assert.deepStrictEqual(yield* names, ["audit_damaged", "b"])
        })
      )
    })
  )
})
