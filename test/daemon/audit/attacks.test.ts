/**
 * What somebody can do to the files while no daemon runs: each attack is a finding of the
 * verification, is reported by the next start, and stays a finding after it. What a crash or
 * the predecessor leaves is none.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { verifyAtStart } from "../../../src/daemon/lifecycle/verifyAtStart.ts"
import { acceptFindings } from "../../../src/daemon/operations/acceptFindings.ts"
import { lockStore, unlockStore } from "../../../src/daemon/operations/lock.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { chainFacts, decodeChainedEntry, sha256 } from "../../../src/domain/AuditChain.ts"
import { acquireFact } from "../../../src/domain/leaseFacts.ts"
import { unlockFact } from "../../../src/domain/storeFacts.ts"
import { hour } from "../../../src/domain/GoDuration.ts"
import { fromMillis } from "../../../src/domain/Timestamp.ts"
import { lease } from "../leases/LeaseRepoSuite.ts"
import { add, copyOf, type Place, placeOf, reported, session, take, verified } from "../../support/auditDirectory.ts"
import { predecessorAcquire, predecessorStart } from "../../support/predecessor.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

/** Several runs, and copies of the files after an earlier one; made once, because each run encrypts and flushes. */
const template = { directory: "", older: new Map<string, Buffer>() }

beforeAll(async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "agent-secrets-"))
  template.directory = directory
  await Effect.gen(function* () {
    yield* session(directory, Effect.andThen(add("db"), take("a")))
    yield* session(directory, Effect.andThen(add("mail"), take("b")))
    template.older = copyOf(directory)
    yield* session(directory, Effect.all([add("web"), take("c"), take("d")]))
    yield* session(directory, Effect.all([take("e"), take("f")]))
  }).pipe(Effect.provide(TestClock.layer()), Effect.runPromise)
})
afterAll(() => fs.rmSync(template.directory, { recursive: true, force: true }))

/** A copy of it. */
const used = Effect.map(temporaryDirectory, (directory) => {
  fs.cpSync(template.directory, directory, { recursive: true })
  return placeOf({ directory, older: template.older })
})

const row = (id: string) => ({
  id,
  secret_name: "db",
  client_id: id,
  created_at: "1970-01-01T00:00:00Z",
  expires_at: "1970-01-01T20:00:00Z",
  revoked: false
})
const forgedLeases = (place: Place, ...ids: ReadonlyArray<string>) =>
  fs.writeFileSync(place.file("leases.json"), JSON.stringify(ids.map(row), undefined, 2))
/** Binds the leases.json that is there now to the last entry of the log. */
const bindLeases = (place: Place) => {
  const side = JSON.parse(fs.readFileSync(place.file("leases.checkpoint.json"), "utf8"))
  side.checkpoints = [{ ...side.checkpoints.at(-1), leases: sha256(fs.readFileSync(place.file("leases.json"))) }]
  fs.writeFileSync(place.file("leases.checkpoint.json"), JSON.stringify(side))
}
const unchained = '{"timestamp":"2026-02-22T00:00:00Z","action":"lease_revoke","lease_id":"a","success":true}\n'
const logs = (place: Place) => [...copyOf(place.directory).keys()].filter((name) => name.startsWith("audit.log"))

/** A line that continues the chain as ours do, by somebody who computes the hash. */
const chained = (place: Place) => {
  const last = place.lines().at(-1) ?? ""
  const seq = Option.getOrThrow(decodeChainedEntry(last.trimEnd())).seq
  return chainFacts([acquireFact(lease("forged", { client: "forged" }), hour)], fromMillis(0), {
    seq,
    hash: sha256(last)
  }).text
}

const attacks: Readonly<Record<string, readonly [kind: string, attack: (place: Place) => void]>> = {
  "a line without a hash is appended": ["added", (place) => place.write([...place.lines(), unchained])],
  "a line of the predecessor is appended, but not its start": [
    "added",
    (place) => place.write([...place.lines(), predecessorAcquire("db", "forged")])
  ],
  "a line is appended, and leases.json is forged": [
    "added",
    (place) => {
      place.write([...place.lines(), unchained])
      forgedLeases(place, "forged")
    }
  ],
  "an entry with the right hash is appended": ["added", (place) => place.write([...place.lines(), chained(place)])],
  "an entry with a wrong hash is appended": [
    "edited",
    (place) => place.write([...place.lines(), chained(place).replace('"prev":"', '"prev":"0')])
  ],
  "a line is inserted": ["edited", (place) => place.write(place.lines().toSpliced(-2, 0, unchained))],
  "the last entries are cut": ["truncated", (place) => place.write(place.lines().slice(0, -2))],
  "the last entries are cut, and the head is deleted": [
    "truncated",
    (place) => {
      place.write(place.lines().slice(0, -2))
      place.remove("audit.head.json")
    }
  ],
  "the last entries are cut, and the head and the checkpoint are deleted": [
    "truncated",
    (place) => {
      place.write(place.lines().slice(0, -2))
      place.remove("audit.head.json", "leases.checkpoint.json")
    }
  ],
  "the last entries are cut, and all that names them is deleted": [
    "head",
    (place) => {
      place.write(place.lines().slice(0, -2))
      place.remove("audit.head.json", "leases.checkpoint.json", "runs.json")
    }
  ],
  "the head is deleted": ["head", (place) => place.remove("audit.head.json")],
  "the head is emptied": ["head", (place) => fs.writeFileSync(place.file("audit.head.json"), "")],
  "the head is replaced by an older one": ["added", (place) => place.rollBack("audit.head.json")],
  "the log and the head are replaced by older ones": [
    "truncated",
    (place) => {
      place.remove(...logs(place))
      place.rollBack(...[...place.older.keys()].filter((name) => name.startsWith("audit.")))
    }
  ],
  "everything but runs.json and the store is replaced by older files": [
    "truncated",
    (place) => {
      place.remove(...logs(place))
      place.rollBack(...[...place.older.keys()].filter((name) => /^(audit|leases)\./.test(name)))
    }
  ],
  "everything but the store is replaced by older files": [
    "store",
    (place) => {
      place.remove(...logs(place))
      place.rollBack(...[...place.older.keys()].filter((name) => /^(audit|leases|runs)\./.test(name)))
    }
  ],
  "the store is replaced by an older one": ["store", (place) => place.rollBack("secrets.age")],
  "the store is replaced by its backup": [
    "store",
    (place) => fs.copyFileSync(place.file("secrets.age.bak"), place.file("secrets.age"))
  ],
  "an archive is planted": ["added", (place) => fs.writeFileSync(place.file("audit.log.99"), unchained)],
  "an archive in the predecessor's format is planted": [
    "added",
    (place) => fs.writeFileSync(place.file("audit.log.99"), predecessorStart + predecessorAcquire("db"))
  ],
  "an archive is copied": ["edited", (place) => fs.copyFileSync(place.file("audit.log.1"), place.file("audit.log.99"))],
  "two archives are swapped": [
    "edited",
    (place) => {
      fs.renameSync(place.file("audit.log.1"), place.file("x"))
      fs.renameSync(place.file("audit.log.2"), place.file("audit.log.1"))
      fs.renameSync(place.file("x"), place.file("audit.log.2"))
    }
  ],
  "an archive in the middle is deleted": ["gap", (place) => place.remove("audit.log.1")],
  "the oldest archive is deleted": ["gap", (place) => place.remove("audit.log.2", "audit.log.3", "audit.log.4")],
  "the log and the head are removed": ["truncated", (place) => place.remove("audit.log", "audit.head.json")],
  "the log, its archives and the head are removed": [
    "truncated",
    (place) => place.remove(...logs(place), "audit.head.json")
  ],
  "the log, its archives, the head and the checkpoint are removed": [
    "truncated",
    (place) => place.remove(...logs(place), "audit.head.json", "leases.checkpoint.json")
  ],
  "the log is replaced by one of the predecessor, and leases.json is forged": [
    "truncated",
    (place) => {
      place.remove(...logs(place), "audit.head.json")
      place.write([predecessorStart])
      forgedLeases(place, "forged")
    }
  ],
  "leases.json is forged, and bound to the log": [
    "leases",
    (place) => {
      forgedLeases(place, "a", "b", "forged")
      bindLeases(place)
    }
  ]
}

describe("while no daemon runs", () => {
  it.effect.each(Object.keys(attacks))("it is found if %s", (name) =>
    Effect.gen(function* () {
      const [kind, attack] = attacks[name] ?? ["", () => undefined]
      const place = yield* used
      attack(place)
      assert.include(yield* verified(place.directory), kind)
      const { findings, leases } = yield* reported(place.directory)
      assert.isNotEmpty(findings)
      assert.notInclude(leases, "forged")
      assert.isNotEmpty(yield* verified(place.directory))
      const log = logs(place).map((file) => fs.readFileSync(place.file(file), "utf8"))
      assert.match(log.join(""), /"action":"audit_(damaged|finding)"/)
    })
  )

  const all = ["a", "b", "c", "d", "e", "f"]
  const isIntact = Effect.fnUntraced(function* (place: Place, leases: ReadonlyArray<string> = all) {
    assert.deepStrictEqual(yield* verified(place.directory), [])
    const start = yield* reported(place.directory)
    assert.deepStrictEqual([start.findings, start.leases], [[], leases])
    assert.deepStrictEqual(yield* verified(place.directory), [])
    return start.adopted
  })

  it.effect("nothing is found if nothing happens", () =>
    Effect.gen(function* () {
      const place = yield* used
      assert.deepStrictEqual(yield* isIntact(place), [])
    })
  )

  it.effect("a lease whose expiry is forged in leases.json, which is bound to the log, expires as the log says", () =>
    Effect.gen(function* () {
      const place = yield* used
      const rows = JSON.parse(fs.readFileSync(place.file("leases.json"), "utf8"))
      rows[0].expires_at = "1970-01-09T00:00:00Z"
      fs.writeFileSync(place.file("leases.json"), JSON.stringify(rows, undefined, 2))
      bindLeases(place)
      const expiries = yield* session(
        place.directory,
        Effect.andThen(
          TestClock.withLive(verifyAtStart),
          LeaseRepo.use((leases) => Effect.map(leases.active, (active) => active.map((one) => one.expiresAt.text)))
        )
      )
      assert.lengthOf(expiries, all.length)
      assert.notInclude(expiries.join(), "1970-01-09")
    })
  )

  const lockedAfterStart = (place: Place) =>
    session(
      place.directory,
      Effect.gen(function* () {
        yield* TestClock.withLive(verifyAtStart)
        const store = yield* SecretStore
        return store.lockedSince() !== undefined
      })
    )

  it.effect.each([
    ["the lock file", ["secrets.age.locked"]],
    ["the lock file and the head", ["secrets.age.locked", "audit.head.json"]]
  ] as const)("a store stays locked if %s is removed, which is reported", ([, names]) =>
    Effect.gen(function* () {
      const place = yield* used
      yield* session(place.directory, lockStore())
      place.remove(...names)
      assert.include(yield* verified(place.directory), "lock")
      const { findings } = yield* reported(place.directory)
      assert.include(findings.join(), "secrets.age.locked was removed while no daemon ran; the store stays locked")
      assert.isTrue(fs.existsSync(place.file("secrets.age.locked")))
      assert.isTrue(yield* lockedAfterStart(place))
      assert.notInclude(yield* verified(place.directory), "lock")
    })
  )

  it.effect("a store is locked again if the lock file is removed and the head is changed", () =>
    Effect.gen(function* () {
      const place = yield* used
      yield* session(place.directory, lockStore())
      place.remove("secrets.age.locked")
      const { locked: _, ...head } = JSON.parse(fs.readFileSync(place.file("audit.head.json"), "utf8"))
      fs.writeFileSync(place.file("audit.head.json"), JSON.stringify(head))
      assert.isTrue(yield* lockedAfterStart(place))
      assert.isTrue(fs.existsSync(place.file("secrets.age.locked")))
    })
  )

  it.effect("a store that was locked, and after it the predecessor ran, stays locked", () =>
    Effect.gen(function* () {
      const place = yield* used
      yield* session(place.directory, lockStore())
      place.write([...place.lines(), predecessorStart, predecessorAcquire("db")])
      place.remove("secrets.age.locked")
      assert.isTrue(yield* lockedAfterStart(place))
    })
  )

  it.effect("a store is locked or not by the entries after a head that a crash left behind the log", () =>
    Effect.gen(function* () {
      const place = yield* used
      let head = Buffer.alloc(0)
      const keepHead = Effect.sync(() => (head = fs.readFileSync(place.file("audit.head.json"))))
      const crash = Effect.sync(() => fs.writeFileSync(place.file("audit.head.json"), head))
      yield* session(place.directory, Effect.all([lockStore(), keepHead, unlockStore()]))
      yield* crash
      assert.notInclude((yield* reported(place.directory)).findings.join(), "locked")
      assert.isFalse(yield* lockedAfterStart(place))
      yield* session(place.directory, Effect.andThen(keepHead, lockStore()))
      yield* crash
      place.remove("secrets.age.locked")
      const { findings } = yield* reported(place.directory)
      assert.include(findings.join(), "the store stays locked")
    })
  )

  it.effect("a store stays locked if an entry that opens it was added after the stop", () =>
    Effect.gen(function* () {
      const place = yield* used
      yield* session(place.directory, lockStore())
      const line = place.lines().at(-1) ?? ""
      const { seq } = Option.getOrThrow(decodeChainedEntry(line.trimEnd()))
      const { text } = chainFacts([unlockFact], fromMillis(0), { seq, hash: sha256(line) })
      place.write([...place.lines(), text])
      place.remove("secrets.age.locked", "runs.json")
      assert.isTrue(yield* lockedAfterStart(place))
    })
  )

  it.effect("a store that was unlocked, or made anew, is not locked", () =>
    Effect.gen(function* () {
      const place = yield* used
      yield* session(place.directory, Effect.andThen(lockStore(), unlockStore()))
      assert.isFalse(yield* lockedAfterStart(place))
      yield* session(place.directory, lockStore())
      place.remove("secrets.age.locked", "secrets.age", "secrets.age.bak", "identity.age")
      assert.isFalse(yield* lockedAfterStart(place))
      assert.isFalse(yield* lockedAfterStart(place))
    })
  )

  it.effect("a part of the predecessor is adopted and reported, with the leases that it issued or kept", () =>
    Effect.gen(function* () {
      const place = yield* used
      place.write([...place.lines(), predecessorStart, predecessorAcquire("db", "go")])
      forgedLeases(place, "a", "f")
      const rows = JSON.parse(fs.readFileSync(place.file("leases.json"), "utf8"))
      const theirs = { ...row("go"), client_id: "worker", created_at: "1970-01-01T00:00:01Z" }
      fs.writeFileSync(place.file("leases.json"), JSON.stringify([...rows, theirs], undefined, 2))
      // It changes the store without an entry.
      place.rollBack("secrets.age")
      const adopted = yield* isIntact(place, ["a", "f", "go"])
      assert.match(
        adopted.join("\n"),
        /^2 lines of the predecessor after entry \d+; SHA-256 \w{64}; secrets\.age is another one since\n3 leases of leases\.json/
      )
      assert.deepStrictEqual(yield* isIntact(place, ["a", "f", "go"]), [])
    })
  )

  it.effect("a lease that no entry issued is ignored and reported, although the predecessor ran", () =>
    Effect.gen(function* () {
      const place = yield* used
      place.write([...place.lines(), predecessorStart])
      forgedLeases(place, "a", "forged")
      const { adopted, findings, leases } = yield* reported(place.directory)
      assert.deepStrictEqual(leases, ["a"])
      assert.deepStrictEqual(findings, ["leases.json has 1 lease in no entry that counts; ignored"])
      assert.lengthOf(adopted, 2)
      assert.deepStrictEqual(yield* verified(place.directory), ["reported"])
    })
  )

  it.effect.each(["", "{half\n", "{half\n\n"])("the predecessor's leases are adopted if its log ends with %j", (end) =>
    Effect.gen(function* () {
      const place = placeOf({ directory: yield* temporaryDirectory, older: new Map() })
      place.write([predecessorStart, predecessorAcquire("db", "a"), end])
      forgedLeases(place, "a")
      assert.deepStrictEqual((yield* reported(place.directory)).leases, ["a"])
    })
  )

  it.effect.each([
    { log: "no log", lines: [] },
    { log: "the log of another program", lines: [predecessorStart, unchained.replace("lease_revoke", "other")] }
  ])("leases beside $log are ignored and counted", ({ lines }) =>
    Effect.gen(function* () {
      const place = placeOf({ directory: yield* temporaryDirectory, older: new Map() })
      place.write(lines)
      forgedLeases(place, "a", "b")
      const { findings, leases } = yield* reported(place.directory)
      assert.deepStrictEqual(leases, [])
      assert.deepStrictEqual(findings, ["leases.json has 2 leases in no entry that counts; ignored"])
      assert.deepStrictEqual(yield* verified(place.directory), ["reported"])
    })
  )

  it.effect("leases of a part that the predecessor cannot have written are ignored and counted", () =>
    Effect.gen(function* () {
      const place = yield* used
      place.write([...place.lines(), predecessorStart, predecessorAcquire("db", "go"), "{half\n"])
      forgedLeases(place, "a", "go")
      const { findings, leases } = yield* reported(place.directory)
      assert.notInclude(leases, "go")
      assert.include(findings, "leases.json has 1 lease in no entry that counts; ignored")
    })
  )

  it.effect("a finding that is accepted fails no later verification, and others do", () =>
    Effect.gen(function* () {
      const place = yield* used
      place.rollBack("secrets.age")
      place.write(place.lines().toSpliced(-2, 0, unchained))
      place.remove("audit.head.json")
      const accepted = yield* session(place.directory, acceptFindings)
      assert.lengthOf(accepted, 3)
      const start = yield* reported(place.directory)
      assert.deepStrictEqual([start.findings, yield* verified(place.directory)], [[], []])
      assert.deepStrictEqual(yield* session(place.directory, acceptFindings), [])
      place.rollBack("secrets.age")
      assert.deepStrictEqual(yield* verified(place.directory), [])
      fs.writeFileSync(place.file("secrets.age"), "another")
      assert.deepStrictEqual(yield* verified(place.directory), ["store"])
    })
  )

  it.effect("the first start on a directory of the predecessor has no finding, also with rotated logs", () =>
    Effect.gen(function* () {
      const place = placeOf({ directory: yield* temporaryDirectory, older: new Map() })
      fs.writeFileSync(place.file("audit.log.1"), predecessorStart + predecessorAcquire("x"))
      place.write([predecessorAcquire("db")])
      forgedLeases(place, "a", "b")
      assert.lengthOf(yield* isIntact(place, ["a", "b"]), 2)
      const [oldest = ""] = logs(place).toSorted().toReversed()
      fs.appendFileSync(place.file(oldest), predecessorAcquire("later"))
      assert.deepStrictEqual(yield* verified(place.directory), ["added"])
    })
  )

  it.effect("a change of the store that was recorded and not written is none", () =>
    Effect.gen(function* () {
      const place = yield* used
      const before = fs.readFileSync(place.file("secrets.age"))
      const head = fs.readFileSync(place.file("audit.head.json"), "utf8")
      yield* session(place.directory, add("lost"))
      // As kill -9 leaves it: no orderly stop, and the store before the change.
      place.write(place.lines().slice(0, -1))
      const { store } = JSON.parse(head)
      const {
        hash,
        prev: _,
        ...rest
      } = { ...JSON.parse(fs.readFileSync(place.file("audit.head.json"), "utf8")), store, open: true }
      const last = place.lines().at(-1) ?? ""
      const known = { ...rest, seq: rest.seq - 1, hash: sha256(last), store }
      assert.notStrictEqual(hash, known.hash)
      fs.writeFileSync(place.file("audit.head.json"), JSON.stringify(known))
      place.remove("runs.json")
      fs.writeFileSync(place.file("secrets.age"), before)
      yield* isIntact(place)
    })
  )

  it.effect("a head and a log without the newer members are none", () =>
    Effect.gen(function* () {
      const place = yield* used
      const { first, hash, seq } = JSON.parse(fs.readFileSync(place.file("audit.head.json"), "utf8"))
      fs.writeFileSync(place.file("audit.head.json"), JSON.stringify({ seq, hash, first }))
      place.remove("runs.json")
      yield* isIntact(place)
    })
  )

  it.effect.each(["renamed", "copied and emptied"])("a log that logrotate %s is none", (way) =>
    Effect.gen(function* () {
      const place = yield* used
      const archives = logs(place)
        .filter((name) => name !== "audit.log")
        .toSorted()
        .toReversed()
      for (const name of archives) {
        fs.renameSync(place.file(name), place.file(`audit.log.${Number(name.slice("audit.log.".length)) + 1}`))
      }
      fs.copyFileSync(place.file("audit.log"), place.file("audit.log.1"))
      if (way === "renamed") place.remove("audit.log")
      else place.write([])
      yield* isIntact(place)
    })
  )
})
