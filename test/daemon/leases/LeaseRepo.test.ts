/**
 * The suite over every layer, and what only the layer with files guarantees. A start
 * recovers the leases after any stop or crash, and after any last writer.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { verifyAuditLog } from "../../../src/daemon/audit/verifyAuditLog.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { everything } from "../../../src/daemon/leases/LeaseScope.ts"
import type { LeaseTransaction } from "../../../src/daemon/leases/LeaseTransaction.ts"
import { acquireFact, replaceFact, revokeFact } from "../../../src/domain/leaseFacts.ts"
import { hour } from "../../../src/domain/GoDuration.ts"
import { predecessorStart } from "../../support/predecessor.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { activeIds, issue, lease, leaseRepoSuite } from "./LeaseRepoSuite.ts"
import { memoryAuditLog } from "../../support/memoryAuditLog.ts"

const filesIn = (directory: string) =>
  LeaseRepo.layer(path.join(directory, "leases.json")).pipe(
    Layer.provideMerge(AuditLog.layer(path.join(directory, "audit.log")))
  )

leaseRepoSuite("in memory", LeaseRepo.layerMemory.pipe(Layer.provideMerge(memoryAuditLog)))
leaseRepoSuite("in files", Layer.unwrap(Effect.map(temporaryDirectory, filesIn)))

/** Runs a program as one daemon on a directory, from its start to an orderly stop. */
const session = <A, E>(directory: string, program: Effect.Effect<A, E, LeaseRepo | AuditLog>) =>
  Effect.provide(program, Layer.fresh(filesIn(directory)))

/** Runs a program and keeps the files as they are before the stop, as after a crash. */
const crash = Effect.fnUntraced(function* <A, E>(
  directory: string,
  program: Effect.Effect<A, E, LeaseRepo | AuditLog>
) {
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(Layer.fresh(filesIn(directory)), scope)
  yield* Effect.provide(program, context)
  const left = fs.readdirSync(directory).map((name) => [name, fs.readFileSync(path.join(directory, name))] as const)
  yield* Scope.close(scope, Exit.void)
  fs.rmSync(directory, { recursive: true })
  fs.mkdirSync(directory)
  for (const [name, contents] of left) fs.writeFileSync(path.join(directory, name), contents)
})

const rows = (directory: string) =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Schema.NullOr(Schema.Array(Schema.Struct({ id: Schema.String })))))(
    fs.readFileSync(path.join(directory, "leases.json"), "utf8")
  )

const idsInFile = (directory: string) => rows(directory)?.map(({ id }) => id)

/** Advances the clock until a checkpoint is due, and waits until it is written. */
const checkpointWritten = Effect.fnUntraced(function* (file: string) {
  yield* TestClock.adjust("10 millis")
  const written = Effect.sync(() => fs.existsSync(file))
  yield* Effect.repeat(TestClock.withLive(Effect.andThen(Effect.sleep("5 millis"), written)), {
    until: (there) => there
  })
})

describe("LeaseRepo in files, across restarts", () => {
  const issueWithEnd = (tx: LeaseTransaction, id: string) => {
    const one = lease(id, { client: id })
    tx.issue(one, acquireFact(one, hour))
  }

  const take = (id: string) =>
    LeaseRepo.use((leases) => leases.transaction(everything, (tx) => Result.succeed(issueWithEnd(tx, id))))

  it.effect("recovers the leases after an orderly stop, and leases.json lists them", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, issue(lease("a"), lease("b", { client: "other" })))
      assert.deepStrictEqual(idsInFile(directory), ["a", "b"])
      assert.deepStrictEqual(yield* session(directory, activeIds), ["a", "b"])
    })
  )

  it.effect("writes null if there is no lease, as the predecessor does", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, activeIds)
      assert.strictEqual(fs.readFileSync(path.join(directory, "leases.json"), "utf8"), "null")
    })
  )

  it.effect("replays the entries that leases.json lacks after a crash", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, issue(lease("a"), lease("b", { client: "other" })))
      const [a, c] = [lease("a"), lease("c")]
      yield* crash(
        directory,
        LeaseRepo.use((leases) =>
          leases.transaction(everything, (tx) => {
            tx.end(a, replaceFact(a, c, hour))
            tx.issue(c, {
              action: "lease_acquire",
              secret_name: "db",
              client_id: "worker",
              lease_id: "c",
              success: true,
              expires_at: c.expiresAt.text
            })
            return Result.void
          })
        )
      )
      assert.deepStrictEqual(idsInFile(directory), ["a", "b"])
      assert.deepStrictEqual(yield* session(directory, activeIds), ["b", "c"])
    })
  )

  it.effect("recovers leases acquired before the first checkpoint after a crash", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* crash(directory, issue(lease("a")))
      assert.isFalse(fs.existsSync(path.join(directory, "leases.json")))
      assert.deepStrictEqual(yield* session(directory, activeIds), ["a"])
    })
  )

  it.effect("keeps a revoked lease revoked after a crash", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const a = lease("a")
      yield* session(directory, issue(a))
      const revokeA = LeaseRepo.use((leases) =>
        leases.transaction(everything, (tx) => Result.succeed(tx.revoke(a, revokeFact(a))))
      )
      yield* crash(directory, revokeA)
      assert.deepStrictEqual(yield* session(directory, activeIds), [])
    })
  )

  it.effect("uses only leases.json if another program wrote it after us", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* crash(directory, issue(lease("a")))
      fs.writeFileSync(path.join(directory, "leases.json"), "[]")
      fs.appendFileSync(
        path.join(directory, "audit.log"),
        '{"timestamp":"2026-02-22T00:00:00Z","action":"daemon_start","success":true}\n'
      )
      assert.deepStrictEqual(yield* session(directory, activeIds), [])
    })
  )

  it.effect.each(["an older leases.json", "no leases.json", "no side file", "a damaged leases.json"])(
    "recovers every lease from %s if no other program ran meanwhile",
    (found) =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const file = path.join(directory, "leases.json")
        yield* session(directory, take("a"))
        const older = fs.readFileSync(file)
        for (const id of ["b", "c"]) yield* session(directory, take(id))
        yield* session(
          directory,
          LeaseRepo.use((leases) =>
            leases.transaction(everything, (tx) => {
              const a = tx.find("a")
              if (a !== undefined) tx.revoke(a, revokeFact(a))
              return Result.void
            })
          )
        )
        yield* crash(directory, take("d"))
        if (found === "an older leases.json") fs.writeFileSync(file, older)
        if (found === "no leases.json") fs.rmSync(file)
        if (found === "a damaged leases.json") fs.writeFileSync(file, '[{"id":')
        if (found === "no side file") fs.rmSync(path.join(directory, "leases.checkpoint.json"))
        assert.deepStrictEqual(yield* session(directory, activeIds), ["b", "c", "d"])
        assert.deepStrictEqual(yield* session(directory, activeIds), ["b", "c", "d"])
      })
  )

  it.effect("writes a checkpoint shortly after a change", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = path.join(directory, "leases.json")
      yield* session(
        directory,
        Effect.gen(function* () {
          yield* issue(lease("a"))
          yield* checkpointWritten(file)
          assert.deepStrictEqual(idsInFile(directory), ["a"])
        })
      )
    })
  )

  for (const nothing of ["null", "[]", " [ ]\n"]) {
    it.effect(`starts with no lease if leases.json is ${JSON.stringify(nothing)}`, () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        fs.writeFileSync(path.join(directory, "leases.json"), nothing)
        assert.deepStrictEqual(yield* session(directory, activeIds), [])
        assert.isFalse(fs.readFileSync(path.join(directory, "audit.log"), "utf8").includes("file_mended"))
      })
    )
  }

  it.effect.each(["[{", "", "{}", '"text"', "\u0000\u0000"])(
    "starts, sets leases.json aside and records that if it is %j",
    (damaged) =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        fs.writeFileSync(path.join(directory, "leases.json"), damaged)
        assert.deepStrictEqual(yield* session(directory, activeIds), [])
        const aside = fs.readdirSync(directory).filter((name) => name.startsWith("leases.json.damaged-"))
        assert.strictEqual(aside.length, 1)
        assert.include(fs.readFileSync(path.join(directory, "audit.log"), "utf8"), '"action":"file_mended"')
      })
  )

  for (const name of ["leases.json", "leases.checkpoint.json", "audit.head.json"]) {
    for (const [kind, put] of [
      ["a directory", (file: string) => fs.mkdirSync(file)],
      ["a pipe", (file: string) => execFileSync("mkfifo", [file])]
    ] as const) {
      it.effect(`recovers every lease if ${name} is ${kind}, renames that and writes the file anew`, () =>
        Effect.gen(function* () {
          const directory = yield* temporaryDirectory
          const issueOne = LeaseRepo.use((leases) =>
            leases.transaction(everything, (tx) =>
              Result.succeed(tx.issue(lease("kept"), acquireFact(lease("kept"), hour)))
            )
          )
          yield* session(directory, issueOne)
          const file = path.join(directory, name)
          fs.rmSync(file)
          put(file)
          assert.deepStrictEqual(yield* session(directory, activeIds), ["kept"])
          assert.isTrue(fs.statSync(file).isFile())
          assert.lengthOf(
            fs.readdirSync(directory).filter((found) => found.startsWith(`${name}.damaged-`)),
            1
          )
          assert.deepStrictEqual(yield* session(directory, activeIds), ["kept"])
        })
      )
    }
  }

  it.effect("writes and rotates beside the real files if audit.log and leases.json are links", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const [directory, disk] = [path.join(home, "state"), path.join(home, "disk")]
      for (const made of [directory, disk]) fs.mkdirSync(made)
      for (const name of ["audit.log", "leases.json"]) fs.symlinkSync(`../disk/${name}`, path.join(directory, name))
      const issueOne = LeaseRepo.use((leases) =>
        leases.transaction(everything, (tx) =>
          Result.succeed(tx.issue(lease("kept"), acquireFact(lease("kept"), hour)))
        )
      )
      const small = AuditLog.layer(path.join(directory, "audit.log"), { maxSize: 1, maxFiles: 9 })
      const layer = LeaseRepo.layer(path.join(directory, "leases.json")).pipe(Layer.provideMerge(small))
      yield* Effect.provide(issueOne, Layer.fresh(layer))
      yield* Effect.provide(
        AuditLog.use((audit) => audit.append([revokeFact(lease("other"))])),
        Layer.fresh(layer)
      )
      assert.deepStrictEqual(
        fs.readdirSync(directory).filter((name) => !fs.lstatSync(path.join(directory, name)).isSymbolicLink()),
        []
      )
      assert.includeMembers(fs.readdirSync(disk), [
        "audit.head.json",
        "audit.log",
        "audit.log.1",
        "leases.checkpoint.json",
        "leases.json"
      ])
      const report = yield* verifyAuditLog(path.join(directory, "audit.log"))
      assert.deepStrictEqual([report.files.length > 1, report.isEndKnown], [true, true])
      assert.deepStrictEqual(yield* Effect.provide(activeIds, Layer.fresh(layer)), ["kept"])
      yield* Effect.provide(
        Effect.gen(function* () {
          fs.rmSync(path.join(directory, "audit.log"))
          fs.symlinkSync("../disk/elsewhere", path.join(directory, "audit.log"))
          const error = yield* Effect.flip(AuditLog.use((audit) => audit.append([revokeFact(lease("other"))])))
          assert.include(error.message, `it is no longer a symbolic link to ${path.join(disk, "audit.log")}`)
        }),
        Layer.fresh(layer)
      )
    })
  )

  it.effect("starts with the readable leases of a partly unreadable file", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const good = {
        id: "good",
        secret_name: "db",
        client_id: "worker",
        created_at: "1970-01-01T00:00:00Z",
        expires_at: "1970-01-01T01:00:00.5+00:00",
        revoked: false,
        colour: "of another program"
      }
      const odd = [null, 7, { ...good, id: "bad", expires_at: "soon" }, { ...good, id: "revoked", revoked: true }]
      fs.writeFileSync(path.join(directory, "audit.log"), predecessorStart)
      fs.writeFileSync(path.join(directory, "leases.json"), JSON.stringify([...odd, good]))
      assert.deepStrictEqual(yield* session(directory, activeIds), ["good"])
      fs.writeFileSync(path.join(directory, "leases.json"), JSON.stringify([...odd, good]))
      const unreadable = LeaseRepo.use((leases) => Effect.succeed(leases.unreadableCount))
      assert.strictEqual(yield* session(directory, unreadable), 3)
    })
  )

  it.effect("holds a lease once if the file lists it twice", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const row = {
        id: "twin",
        secret_name: "db",
        client_id: "worker",
        created_at: "1970-01-01T00:00:00Z",
        expires_at: "1970-01-01T01:00:00Z",
        revoked: false
      }
      fs.writeFileSync(path.join(directory, "audit.log"), predecessorStart)
      fs.writeFileSync(path.join(directory, "leases.json"), JSON.stringify([row, { ...row, client_id: "other" }]))
      yield* session(
        directory,
        LeaseRepo.use((leases) =>
          leases.transaction(everything, (tx) => {
            assert.strictEqual(tx.ofSecret("db").length, 1)
            for (const one of tx.active()) tx.end(one)
            assert.deepStrictEqual(tx.ofSecret("db"), [])
            return Result.void
          })
        )
      )
    })
  )

  it.effect("stays bound after several crashes between the side file and leases.json", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = path.join(directory, "leases.json")
      yield* session(directory, take("a"))
      const before = fs.readFileSync(file)
      for (const id of ["b", "c", "d"]) {
        // The old leases.json is restored, as if the new one had never been renamed.
        yield* session(directory, take(id))
        fs.writeFileSync(file, before)
      }
      assert.deepStrictEqual(yield* session(directory, activeIds), ["a", "b", "c", "d"])
    })
  )

  it.effect("stays bound to the current leases.json if the next one cannot be written", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = path.join(directory, "leases.json")
      yield* session(
        directory,
        Effect.gen(function* () {
          yield* take("a")
          yield* checkpointWritten(file)
          fs.mkdirSync(path.join(directory, "leases.json.tmp", "in the way"), { recursive: true })
          yield* take("b")
        })
      )
      assert.deepStrictEqual(idsInFile(directory), ["a"])
      assert.deepStrictEqual(yield* session(directory, activeIds), ["a", "b"])
    })
  )

  it.effect("keeps every lease across crashes while leases.json cannot be written", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      fs.mkdirSync(path.join(directory, "leases.json.tmp", "in the way"), { recursive: true })
      for (const id of ["a", "b", "c"]) {
        yield* session(directory, take(id))
      }
      assert.deepStrictEqual(yield* session(directory, activeIds), ["a", "b", "c"])
    })
  )

  it.effect("recovers every lease after the log was moved and the daemon crashed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const log = path.join(directory, "audit.log")
      const inTransaction = (change: (tx: LeaseTransaction) => void) =>
        LeaseRepo.use((leases) => leases.transaction(everything, (tx) => Result.succeed(change(tx))))
      yield* crash(
        directory,
        Effect.gen(function* () {
          yield* inTransaction((tx) => issueWithEnd(tx, "a"))
          yield* inTransaction((tx) => issueWithEnd(tx, "b"))
          fs.renameSync(log, `${log}.1`)
          yield* inTransaction((tx) => issueWithEnd(tx, "c"))
          yield* inTransaction((tx) => {
            const a = tx.find("a")
            if (a !== undefined) tx.revoke(a, revokeFact(a))
          })
        })
      )
      assert.deepStrictEqual(yield* session(directory, activeIds), ["b", "c"])
    })
  )

  it.effect("recovers every lease after leases.json was removed and the daemon crashed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, take("a"))
      yield* session(directory, take("b"))
      yield* crash(directory, take("c"))
      fs.rmSync(path.join(directory, "leases.json"))
      assert.deepStrictEqual(yield* session(directory, activeIds), ["a", "b", "c"])
    })
  )

  it.effect("replays a log that was cut while the daemon was down", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const log = path.join(directory, "audit.log")
      yield* session(directory, take("a"))
      yield* crash(directory, take("b"))
      const lines = fs.readFileSync(log, "utf8").trimEnd().split("\n")
      fs.writeFileSync(log, `${lines.at(-1)}\n`)
      assert.deepStrictEqual(yield* session(directory, activeIds), ["a", "b"])
    })
  )

  const row = (id: string, created = "1970-01-01T00:00:00Z") => ({
    id,
    secret_name: "db",
    client_id: id,
    created_at: created,
    expires_at: "1970-01-02T00:00:00Z",
    revoked: false
  })
  const goWrote = (directory: string, rows: ReadonlyArray<object>, ...entries: ReadonlyArray<object>) => {
    fs.writeFileSync(path.join(directory, "leases.json"), JSON.stringify(rows, undefined, 2))
    const lines = [{ action: "daemon_start" }, ...entries].map(
      (entry) => `${JSON.stringify({ timestamp: "1970-01-01T00:00:01Z", ...entry, success: true })}\n`
    )
    fs.appendFileSync(path.join(directory, "audit.log"), lines.join(""))
  }

  it.effect(
    "adopts every lease of the predecessor, even if the adoption is interrupted anywhere",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const ids = Array.from({ length: 12 }, (_, n) => `go-${n}`).toSorted()
        goWrote(
          directory,
          ids.map((id) => row(id))
        )
        yield* crash(directory, activeIds)
        const left = fs
          .readdirSync(directory)
          .map((name) => [name, fs.readFileSync(path.join(directory, name))] as const)
        const log = fs.readFileSync(path.join(directory, "audit.log"))
        for (let cut = log.indexOf("\n") + 1; cut <= log.length; cut += 97) {
          for (const name of fs.readdirSync(directory)) fs.rmSync(path.join(directory, name))
          // The side file and the head are written after the adoption.
          const isDone = cut === log.length
          for (const [name, contents] of left) {
            if (name === "leases.json" || (isDone && name !== "audit.log"))
              fs.writeFileSync(path.join(directory, name), contents)
          }
          fs.writeFileSync(path.join(directory, "audit.log"), log.subarray(0, cut))
          assert.deepStrictEqual(yield* session(directory, activeIds), ids, `cut at ${cut} of ${log.length}`)
          assert.deepStrictEqual(yield* session(directory, activeIds), ids, `cut at ${cut}, once more`)
        }
      }),
    60_000
  )

  it.effect("keeps acknowledged changes if the predecessor started from an outdated leases.json", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, Effect.andThen(take("a"), take("b")))
      yield* TestClock.adjust("500 millis")
      const revokeA = LeaseRepo.use((leases) =>
        leases.transaction(everything, (tx) => {
          const a = tx.find("a")
          if (a !== undefined) tx.revoke(a, revokeFact(a))
          return Result.void
        })
      )
      yield* crash(directory, Effect.andThen(revokeA, take("c")))
      assert.deepStrictEqual(idsInFile(directory), ["a", "b"])
      goWrote(directory, [row("a"), row("b"), row("z", "1970-01-01T00:00:01Z")], {
        action: "lease_acquire",
        lease_id: "z"
      })
      assert.deepStrictEqual(yield* session(directory, activeIds), ["b", "c", "z"])
      assert.deepStrictEqual(yield* session(directory, activeIds), ["b", "c", "z"])
    })
  )

  it.effect("does not restore a revoked lease from an older leases.json whose entries were dropped", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = path.join(directory, "leases.json")
      yield* session(directory, Effect.andThen(take("a"), take("b")))
      const older = fs.readFileSync(file)
      const revokeA = LeaseRepo.use((leases) =>
        leases.transaction(everything, (tx) => {
          const a = tx.find("a")
          if (a !== undefined) tx.revoke(a, revokeFact(a))
          return Result.void
        })
      )
      yield* session(directory, revokeA)
      yield* session(directory, take("c"))
      // What rotation leaves of the log when it has dropped the entries of a and b.
      const log = path.join(directory, "audit.log")
      const lines = fs.readFileSync(log, "utf8").split(/(?<=\n)/)
      fs.writeFileSync(log, lines.slice(-1).join(""))
      fs.writeFileSync(file, older)
      assert.deepStrictEqual(yield* session(directory, activeIds), ["c"])
    })
  )
})
