/**
 * The chain continues across starts, rotations and entries of the predecessor.
 * Verification finds what another process did to the log.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { verifyAuditLog } from "../../../src/daemon/audit/verifyAuditLog.ts"
import { addFact } from "../../../src/domain/storeFacts.ts"
import { predecessorAcquire, predecessorStart } from "../../support/predecessor.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

/** Runs a program on the log, from a start to a stop; 1,000 bytes are five entries. */
const session = <A, E>(file: string, program: Effect.Effect<A, E, AuditLog>, maxFiles = 100, maxSize = 1_000) =>
  Effect.provide(program, Layer.fresh(AuditLog.layer(file, { maxSize, maxFiles })))

const write = (...names: ReadonlyArray<string>) =>
  AuditLog.use((audit) => Effect.forEach(names, (name) => audit.append([addFact(name)])))

const names = Effect.map(
  AuditLog.use((audit) => audit.tail(1000)),
  (entries) => entries.map(({ action, secret_name }) => secret_name ?? action)
)

/** Verifies with the live clock, because verification waits for a torn line to be completed. */
const verdict = (file: string) =>
  Effect.map(TestClock.withLive(verifyAuditLog(file)), ({ findings, ...counts }) => ({
    ...counts,
    findings: findings.map(({ kind }) => kind)
  }))

const inDirectory = (test: (file: string) => Generator<Effect.Effect<any, any, any>, void, never>) =>
  Effect.flatMap(temporaryDirectory, (directory) => Effect.gen(() => test(path.join(directory, "audit.log"))))

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => `n${from + at}`)

describe("the chain", () => {
  it.effect("continues across starts and archives, with every entry once and in order", () =>
    inDirectory(function* (file) {
      yield* session(file, write(...numbers(1, 7)))
      yield* session(file, write(...numbers(8, 20)))
      assert.deepStrictEqual(yield* session(file, names), numbers(1, 20))
      const { entries, files, findings, first, last } = yield* verdict(file)
      assert.deepStrictEqual([entries, first, last, findings], [20, 1, 20, []])
      assert.isAbove(files.length, 3)
      assert.strictEqual(files.at(-1), "audit.log")
    })
  )

  it.effect("is intact after rotation drops archives, and reports a removed one", () =>
    inDirectory(function* (file) {
      const keepTwo = Effect.andThen(
        AuditLog.use((audit) => audit.release(1_000)),
        write(...numbers(1, 40))
      )
      yield* session(file, keepTwo, 2)
      assert.deepStrictEqual(fs.readdirSync(path.dirname(file)).toSorted(), [
        "audit.head.json",
        "audit.log",
        "audit.log.1",
        "audit.log.2"
      ])
      const { findings, first, last } = yield* verdict(file)
      assert.deepStrictEqual([findings, last], [[], 40])
      assert.isAbove(first, 20)
      yield* session(file, write("n41"), 2)
      assert.deepStrictEqual((yield* verdict(file)).findings, [])
      fs.rmSync(`${file}.2`)
      assert.deepStrictEqual((yield* verdict(file)).findings, ["gap"])
    })
  )

  it.effect("keeps an archive until the checkpoint includes it", () =>
    inDirectory(function* (file) {
      const release = (seq: number) => AuditLog.use((audit) => audit.release(seq))
      yield* session(file, Effect.andThen(release(3), write(...numbers(1, 30))), 1)
      assert.deepStrictEqual(yield* session(file, names, 1), numbers(1, 30))
      yield* session(file, Effect.andThen(release(30), write(...numbers(31, 40))), 1)
      assert.strictEqual((yield* verdict(file)).files.length, 2)
      assert.deepStrictEqual((yield* verdict(file)).findings, [])
    })
  )

  it.effect("seals the predecessor's entries before and between ours", () =>
    inDirectory(function* (file) {
      fs.writeFileSync(file, predecessorAcquire("a") + predecessorAcquire("b"))
      yield* session(file, write("n1"), 100, 10_000)
      fs.appendFileSync(file, predecessorStart + predecessorAcquire("c"))
      assert.deepStrictEqual((yield* verdict(file)).findings, [])
      yield* session(file, write("n2"), 100, 10_000)
      fs.appendFileSync(file, predecessorStart)
      const { adopted, entries, findings, unchained } = yield* verdict(file)
      assert.deepStrictEqual([entries, unchained, findings], [4, 5, []])
      assert.deepStrictEqual(
        adopted.map(({ lines }) => lines),
        [2, 1]
      )
      const all = "a b audit_adopt n1 daemon_start c audit_adopt n2 daemon_start audit_adopt"
      assert.deepStrictEqual((yield* session(file, names, 100, 10_000)).join(" "), all)
      const text = fs.readFileSync(file, "utf8")
      for (const name of ["b", "c"]) {
        fs.writeFileSync(file, text.replace(`"secret_name":"${name}"`, '"secret_name":"x"'))
        assert.deepStrictEqual((yield* verdict(file)).findings, ["edited"])
      }
    })
  )

  it.effect("continues after the last acknowledged entry of a truncated log, and keeps the gap visible", () =>
    inDirectory(function* (file) {
      yield* session(file, write(...numbers(1, 4)))
      const lines = fs.readFileSync(file, "utf8").split(/(?<=\n)/)
      fs.writeFileSync(file, lines.slice(0, 2).join(""))
      assert.deepStrictEqual((yield* verdict(file)).findings, ["truncated"])
      assert.deepStrictEqual(yield* session(file, names), ["n1", "n2", "audit_damaged"])
      yield* session(file, write("n5"))
      const { findings, last } = yield* verdict(file)
      assert.deepStrictEqual([findings, last], [["gap"], 6])
    })
  )

  it.effect("records a removed log and a changed last entry", () =>
    inDirectory(function* (file) {
      yield* session(file, write("n1", "n2"))
      const text = fs.readFileSync(file, "utf8")
      fs.writeFileSync(file, text.replace('"n2"', '"N2"'))
      assert.deepStrictEqual((yield* verdict(file)).findings, ["edited"])
      assert.deepStrictEqual(yield* session(file, names), ["n1", "N2", "audit_damaged"])
      yield* session(file, write("n4"))
      assert.deepStrictEqual((yield* verdict(file)).findings, ["edited"])
      fs.rmSync(file)
      assert.deepStrictEqual((yield* verdict(file)).findings, ["truncated"])
      assert.deepStrictEqual(yield* session(file, names), ["audit_damaged"])
      assert.deepStrictEqual((yield* verdict(file)).findings, ["gap"])
    })
  )

  it.effect("reports a torn end until the next start repairs it", () =>
    inDirectory(function* (file) {
      yield* session(file, write("n1", "n2"))
      fs.appendFileSync(file, '{"timestamp":"2026')
      assert.deepStrictEqual((yield* verdict(file)).findings, ["torn"])
      assert.deepStrictEqual(yield* session(file, names), ["n1", "n2", "file_mended"])
      assert.deepStrictEqual((yield* verdict(file)).findings, [])
    })
  )

  it.effect("reports changes by another process while the daemon ran", () =>
    inDirectory(function* (file) {
      const doing = (deed: () => void) =>
        session(
          file,
          Effect.gen(function* () {
            yield* write("before")
            deed()
            yield* write("after")
          })
        )
      yield* doing(() => fs.renameSync(file, `${file}.1`))
      assert.deepStrictEqual((yield* verdict(file)).findings, [])
      yield* doing(() => fs.appendFileSync(file, predecessorAcquire("x")))
      assert.deepStrictEqual((yield* verdict(file)).findings, ["edited"])
      yield* doing(() => fs.truncateSync(file, 0))
      assert.deepStrictEqual((yield* verdict(file)).findings, ["gap"])
      const actions = yield* session(file, names)
      assert.strictEqual(actions.filter((action) => action === "audit_damaged").length, 2)
    })
  )

  it.effect("reopens the log on request and records that it was moved", () =>
    inDirectory(function* (file) {
      const moved = Effect.gen(function* () {
        yield* write("before")
        fs.renameSync(file, `${file}.1`)
        yield* AuditLog.use((audit) => audit.reopen)
        assert.include(fs.readFileSync(file, "utf8"), "audit_damaged")
        yield* AuditLog.use((audit) => audit.reopen)
        return yield* names
      })
      assert.deepStrictEqual(yield* session(file, moved), ["before", "audit_damaged"])
    })
  )

  it.effect(
    "has a finding if audit.head.json is missing or unreadable, also after the start that writes it again",
    () =>
      inDirectory(function* (file) {
        yield* session(file, write("n1", "n2"))
        const head = path.join(path.dirname(file), "audit.head.json")
        for (const contents of [undefined, "", "{", '{"seq":"1"}', '{"seq":-1,"hash":"","first":1}']) {
          if (contents === undefined) fs.rmSync(head)
          else fs.writeFileSync(head, contents)
          const { isEndKnown, findings } = yield* verdict(file)
          assert.isFalse(isEndKnown)
          assert.include(findings, "head")
          assert.strictEqual((yield* session(file, names)).at(-1), "audit_finding")
          assert.strictEqual((yield* verdict(file)).findings.at(-1), "reported")
        }
        yield* session(file, write("n3"))
        const { findings, isEndKnown } = yield* verdict(file)
        assert.deepStrictEqual([isEndKnown, findings], [true, Array(5).fill("reported")])
      })
  )

  it.effect("seals a log of the predecessor that is over the size limit", () =>
    inDirectory(function* (file) {
      fs.writeFileSync(file, predecessorAcquire("a").repeat(50))
      yield* session(file, write("n1", "n2", "n3"))
      const { entries, files, findings, unchained } = yield* verdict(file)
      assert.deepStrictEqual([entries, unchained, findings], [4, 50, []])
      assert.deepStrictEqual(files, ["audit.log.1", "audit.log"])
    })
  )

  it.effect("verifies as intact while archives are dropped", () =>
    inDirectory(function* (file) {
      const busy = Effect.forever(
        Effect.andThen(
          AuditLog.use((audit) => audit.release(1e9)),
          write("x", "y", "z")
        )
      )
      const looking = Effect.repeat(
        Effect.tap(verdict(file), ({ findings }) => Effect.sync(() => assert.deepStrictEqual(findings, []))),
        { times: 40 }
      )
      // With fewer entries to a file, a writer on a fast disk would rotate more often than files can be opened.
      yield* session(file, Effect.andThen(write("first"), Effect.raceFirst(busy, looking)), 1, 5_000)
    })
  )

  it.effect("has no gap at its start after a crash while dropping an archive", () =>
    inDirectory(function* (file) {
      const releaseAll = AuditLog.use((audit) => audit.release(1e9))
      yield* session(file, Effect.andThen(releaseAll, write(...numbers(1, 30))), 1)
      const head = path.join(path.dirname(file), "audit.head.json")
      // The state right after the older archive was removed.
      const { first } = JSON.parse(fs.readFileSync(head, "utf8"))
      const [line = ""] = fs.readFileSync(`${file}.1`, "utf8").split("\n")
      assert.strictEqual(JSON.parse(line).seq, first)
    })
  )

  it.effect("reports a line that is not an entry", () =>
    inDirectory(function* (file) {
      yield* session(file, write("n1"))
      const head = path.join(path.dirname(file), "audit.head.json")
      const known = fs.readFileSync(head)
      for (const garbage of ["garbage\n", "\n"]) {
        const text = fs.readFileSync(file)
        fs.appendFileSync(file, garbage)
        assert.deepStrictEqual((yield* verdict(file)).findings, ["edited"])
        yield* session(file, write("n2"))
        assert.deepStrictEqual((yield* verdict(file)).findings, ["edited"])
        fs.writeFileSync(file, text)
        fs.writeFileSync(head, known)
      }
    })
  )

  it.effect("records a pipe with the name of a side file once, and writes the file anew", () =>
    inDirectory(function* (file) {
      yield* session(file, write("n1"))
      const head = path.join(path.dirname(file), "audit.head.json")
      fs.rmSync(head)
      execFileSync("mkfifo", [head, `${file}.1`])
      assert.deepStrictEqual(yield* session(file, names), ["n1", "audit_finding"])
      yield* session(file, write("n2"))
      assert.deepInclude(yield* verdict(file), { entries: 3, findings: ["reported"] })
      assert.isTrue(fs.statSync(head).isFile())
    })
  )
})
