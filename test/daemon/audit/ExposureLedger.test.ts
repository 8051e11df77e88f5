/**
 * What the ledger knows survives rotation and `kill -9`; a file that is not the one it wrote is
 * detected, and hides nothing that the log has.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditNeighbours } from "../../../src/daemon/audit/auditEvidence.ts"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { ExposureLedger } from "../../../src/daemon/audit/ExposureLedger.ts"
import { verifyAuditLog } from "../../../src/daemon/audit/verifyAuditLog.ts"
import { sha256 } from "../../../src/domain/AuditChain.ts"
import type { AuditFact } from "../../../src/domain/AuditEntry.ts"
import { hour } from "../../../src/domain/GoDuration.ts"
import { makeLease } from "../../../src/domain/Lease.ts"
import { adoptFacts } from "../../../src/domain/leaseFacts.ts"
import { stopFact } from "../../../src/domain/daemonFacts.ts"
import { addFact, updateFact, withStore } from "../../../src/domain/storeFacts.ts"
import { predecessorAcquire, predecessorStart } from "../../support/predecessor.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { until } from "../../support/waiting.ts"

const given = (client: string, secret = "db"): AuditFact => ({
  action: "lease_acquire",
  secret_name: secret,
  client_id: client,
  lease_id: `of-${client}`,
  success: true
})

const pathsIn = (directory: string) => ({
  directory,
  leasesPath: path.join(directory, "leases.json"),
  secretsPath: path.join(directory, "secrets.age")
})

interface SessionOptions {
  /** Keeps files as `kill -9` leaves them: copies the directory before the end, and returns the copy. */
  readonly killed?: string
  readonly maxSize?: number
}

/** Runs one daemon: appends the facts, then asks who had the secret. */
const session = Effect.fnUntraced(function* (
  directory: string,
  facts: ReadonlyArray<AuditFact> = [],
  { killed, maxSize = 100_000 }: SessionOptions = {}
) {
  const scope = yield* Scope.make()
  const log = AuditLog.layer(
    path.join(directory, "audit.log"),
    { maxSize, maxFiles: 1 },
    auditNeighbours(pathsIn(directory))
  )
  const context = yield* Layer.buildWithScope(
    Layer.fresh(Layer.provideMerge(ExposureLedger.layer(directory), log)),
    scope
  )
  const asked = Effect.gen(function* () {
    const [audit, ledger] = [yield* AuditLog, yield* ExposureLedger]
    yield* audit.release(1e9)
    // Until exposure.json is read, nothing is dropped.
    yield* ledger.known
    for (const fact of facts) yield* audit.append([fact])
    const { doubt, exposure } = yield* ledger.known
    const values = exposure.valuesOf("db")
    const first = exposure.from?.seq
    const { findings } = yield* audit.diagnostics
    return {
      clients: values.at(-1)?.handouts.map(({ client }) => client) ?? [],
      before: values.at(-2)?.handouts.map(({ client }) => client) ?? [],
      times: values.at(-1)?.handouts.reduce((sum, { times }) => sum + times, 0) ?? 0,
      first,
      doubt,
      findings
    }
  })
  const result = yield* Effect.provide(asked, context)
  if (killed !== undefined) fs.cpSync(directory, killed, { recursive: true })
  yield* Effect.provide(
    ExposureLedger.use((ledger) => ledger.appendLast(stopFact)),
    context
  )
  yield* Scope.close(scope, Exit.void)
  return result
})

const verified = (directory: string) =>
  verifyAuditLog(path.join(directory, "audit.log"), { beside: auditNeighbours(pathsIn(directory)) }).pipe(
    Effect.map(({ findings }) => findings.map(({ kind }) => kind))
  )

const numbered = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => given(`c${from + at}`))
const names = (from: number, to: number) => numbered(from, to).map(({ client_id }) => client_id)
const actionsIn = (directory: string) => fs.readFileSync(path.join(directory, "audit.log"), "utf8")

describe("the ledger of exposure", () => {
  it.live("has what the log has dropped, after an orderly stop and after kill -9", () =>
    Effect.gen(function* () {
      const [directory, copy] = [yield* temporaryDirectory, path.join(yield* temporaryDirectory, "copy")]
      const small = { maxSize: 2_000 }
      yield* session(directory, [addFact("db"), ...numbered(1, 20)], small)
      yield* session(directory, numbered(21, 40), small)
      assert.notInclude(actionsIn(directory), '"c1"')
      const again = yield* session(directory, numbered(41, 60), { ...small, killed: copy })
      assert.deepStrictEqual([again.clients, again.times, again.first], [names(1, 60), 60, 1])
      for (const place of [directory, copy]) {
        const { clients, doubt, findings, first, times } = yield* session(place)
        assert.deepStrictEqual([clients, times, first], [names(1, 60), 60, 1])
        assert.deepStrictEqual([doubt, findings], [undefined, []])
        assert.deepStrictEqual(yield* verified(place), [])
      }
    })
  )

  it.live("counts adopted leases beside the predecessor's own entries, which it reads later", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const log = path.join(directory, "audit.log")
      fs.writeFileSync(log, predecessorStart + predecessorAcquire("db", "kept"))
      const leases = [-2000, -1000, 0].map((now) =>
        makeLease({ id: `${now}`, secretName: "db", clientId: "worker", now, ttl: hour })
      )
      const found = Effect.gen(function* () {
        yield* AuditLog.use((audit) => audit.append(adoptFacts(leases)))
        const { exposure } = yield* ExposureLedger.use((ledger) => ledger.known)
        return exposure
          .valuesOf("db")
          .flatMap(({ handouts }) => handouts.map(({ first, last, times }) => [first.millis, last.millis, times]))
      })
      const open = () => Layer.fresh(Layer.provideMerge(ExposureLedger.layer(directory), AuditLog.layer(log)))
      assert.deepStrictEqual(yield* Effect.provide(found, open()), [[-2000, 0, 3]])
      assert.deepStrictEqual(yield* Effect.provide(found, open()), [[-2000, 0, 3]])
    })
  )

  it.live("lets the log drop nothing that exposure.json lacks", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      // In its way: a directory that is not empty.
      fs.mkdirSync(path.join(directory, "exposure.json.tmp", "x"), { recursive: true })
      yield* session(directory, [addFact("db"), ...numbered(1, 40)], { maxSize: 2_000 })
      fs.rmSync(path.join(directory, "exposure.json.tmp"), { recursive: true, force: true })
      const { clients, doubt, first } = yield* session(directory)
      assert.deepStrictEqual([clients, first, doubt], [names(1, 40), 1, undefined])
    })
  )

  it.live("writes nothing at a stop if nothing was handed out or changed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, [given("x")])
      const entries = () =>
        actionsIn(directory)
          .split("\n")
          .filter((line) => line.includes('"exposure"')).length
      assert.strictEqual(entries(), 1)
      yield* session(directory)
      assert.strictEqual(entries(), 1)
    })
  )

  it.live("takes back a change that was recorded before a crash and never written", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const store = path.join(directory, "secrets.age")
      fs.writeFileSync(store, "the store")
      const [now, next] = [sha256("the store"), sha256("the next one")]
      const facts = [withStore(addFact("db"), now), given("x"), updateFact("db"), withStore(updateFact("b"), next)]
      const copy = path.join(yield* temporaryDirectory, "copy")
      yield* session(directory, facts, { killed: copy })
      const found = yield* session(copy)
      assert.deepStrictEqual([found.clients, found.before], [["x"], []])
      const later = yield* session(copy, [withStore(updateFact("db"), next), given("y")])
      assert.deepStrictEqual([later.clients, later.before], [["y"], ["x"]])
      fs.writeFileSync(path.join(copy, "secrets.age"), "the next one")
      assert.deepStrictEqual((yield* session(copy)).clients, ["y"])
    })
  )

  it.live("begins where the log begins, if there is no exposure.json", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, [addFact("db"), ...numbered(1, 20)])
      // What the second one saved by its end, the third one may drop.
      yield* session(directory, numbered(21, 40), { maxSize: 2_000 })
      // Nothing that was being saved follows the stop.
      assert.include(actionsIn(directory).trimEnd().split("\n").at(-1), '"action":"daemon_stop"')
      yield* session(directory, numbered(41, 60), { maxSize: 2_000 })
      fs.rmSync(path.join(directory, "exposure.json"))
      const { clients, doubt, first } = yield* session(directory)
      assert.isAbove(first ?? 0, 1)
      assert.include(clients, "c60")
      assert.include(doubt, "exposure.json is missing")
    })
  )
})

/** What somebody does to the files while no daemon runs. */
const attacks: ReadonlyArray<
  readonly [what: string, (file: string, other: string) => void, doubt: string | undefined]
> = [
  ["is edited", (file) => edit(file, (text) => text.replace('"c3"', '"c4"')), "changed or replaced"],
  ["has lost a client", (file) => edit(file, (text) => text.replace(/.*"c3".*\n/, "")), "changed or replaced"],
  ["is torn", (file) => edit(file, (text) => text.slice(0, -40)), "changed or replaced"],
  ["is empty", (file) => edit(file, () => ""), "changed or replaced"],
  ["is that of another directory", (file, other) => fs.copyFileSync(other, file), "changed or replaced"],
  [
    "is a link to that of another directory",
    (file, other) => {
      fs.rmSync(file)
      fs.symlinkSync(other, file)
    },
    "changed or replaced"
  ],
  [
    "is a directory",
    (file) => {
      fs.rmSync(file)
      fs.mkdirSync(file)
    },
    undefined
  ],
  ["is removed", (file) => fs.rmSync(file), undefined],
  ["may be read by others", (file) => fs.chmodSync(file, 0o666), undefined]
]
const edit = (file: string, change: (text: string) => string) =>
  fs.writeFileSync(file, change(fs.readFileSync(file, "utf8")))

describe("an exposure.json that", () => {
  for (const [what, attack, expected] of attacks) {
    it.live(`${what} is detected, and hides nothing that the log has`, () =>
      Effect.gen(function* () {
        const [directory, other] = [yield* temporaryDirectory, yield* temporaryDirectory]
        const [file, foreign] = [path.join(directory, "exposure.json"), path.join(other, "exposure.json")]
        yield* session(directory, [addFact("db"), ...numbered(1, 3)])
        yield* session(directory, numbered(4, 5))
        yield* session(other, [addFact("db"), ...Array.from({ length: 20 }, () => given("of another"))])
        const before = fs.readFileSync(foreign, "utf8")
        attack(file, foreign)
        assert.deepStrictEqual(yield* verified(directory), expected === undefined ? [] : ["exposure"])
        const { clients, doubt, findings, times } = yield* session(directory, [given("c6")])
        assert.deepStrictEqual([clients, times], [names(1, 6), 6])
        if (expected === undefined) assert.isUndefined(doubt)
        else assert.include(doubt, expected)
        assert.deepStrictEqual(findings, doubt === undefined ? [] : [doubt])
        // Written again, beside what was there.
        const stat = fs.lstatSync(file)
        assert.deepStrictEqual([stat.isFile(), stat.mode & 0o777], [true, 0o600])
        assert.strictEqual(fs.readFileSync(foreign, "utf8"), before)
        assert.deepStrictEqual((yield* session(directory)).clients, names(1, 6))
      })
    )
  }

  it.live("is an older one counts with what the log has after it", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = path.join(directory, "exposure.json")
      yield* session(directory, [addFact("db"), ...numbered(1, 3)])
      const older = fs.readFileSync(file)
      yield* session(directory, numbered(4, 6))
      fs.writeFileSync(file, older)
      const { clients, doubt, times } = yield* session(directory)
      assert.deepStrictEqual([clients, times, doubt], [names(1, 6), 6, undefined])
    })
  )

  it.live("is older than the log is reported, and adds what it has", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = path.join(directory, "exposure.json")
      yield* session(directory, [addFact("db"), ...numbered(1, 3)])
      const older = fs.readFileSync(file)
      yield* session(directory, numbered(4, 20), { maxSize: 2_000 })
      yield* session(directory, numbered(21, 60), { maxSize: 2_000 })
      fs.writeFileSync(file, older)
      const { clients, doubt, first } = yield* session(directory)
      assert.include(clients, "c60")
      assert.isAbove(first ?? 0, 4)
      assert.isDefined(doubt)
    })
  )

  it.live("a log that was cut no longer names is not lost with it", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, [addFact("db"), ...numbered(1, 3)])
      yield* session(directory, numbered(4, 6))
      edit(path.join(directory, "audit.log"), (text) => `${text.split("\n").slice(0, 3).join("\n")}\n`)
      assert.deepStrictEqual(yield* verified(directory), ["truncated"])
      const { clients, doubt } = yield* session(directory)
      assert.deepStrictEqual(clients, names(1, 6))
      assert.isDefined(doubt)
    })
  )

  it.live("no entry names adds to the log, and hides nothing of it", () =>
    Effect.gen(function* () {
      const [directory, other] = [yield* temporaryDirectory, yield* temporaryDirectory]
      yield* session(other, [addFact("db"), ...Array.from({ length: 90 }, () => given("of another"))])
      fs.copyFileSync(path.join(other, "exposure.json"), path.join(directory, "exposure.json"))
      const { clients, doubt } = yield* session(directory, [given("mine")])
      assert.include(clients, "mine")
      assert.include(doubt, "named by no entry")
    })
  )
})

describe("a log that another process moves away", () => {
  it.live("is in exposure.json before the daemon is killed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const copy = path.join(yield* temporaryDirectory, "copy")
      const scope = yield* Scope.make()
      const log = AuditLog.layer(path.join(directory, "audit.log"), undefined, auditNeighbours(pathsIn(directory)))
      const layer = Layer.fresh(Layer.provideMerge(ExposureLedger.layer(directory), log))
      const context = yield* Layer.buildWithScope(layer, scope)
      const moved = Effect.gen(function* () {
        const audit = yield* AuditLog
        yield* audit.append([addFact("db"), given("x")])
        fs.renameSync(path.join(directory, "audit.log"), path.join(directory, "elsewhere"))
        yield* audit.append([given("y")])
        yield* until(() => fs.existsSync(path.join(directory, "exposure.json")))
        fs.cpSync(directory, copy, { recursive: true })
      })
      yield* Effect.provide(moved, context)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual((yield* session(copy)).clients, ["x", "y"])
    })
  )
})
