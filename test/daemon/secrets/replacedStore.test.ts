/**
 * The files of the store are looked at before every change. What is missing is written again,
 * and what another program has put there is never overwritten.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { sha256 } from "../../../src/domain/AuditChain.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { addSecret } from "../../support/testLayer.ts"
import { decryptFile, openSession, storeDirectories, storedValues } from "../../support/storeSetup.ts"

type Place = Effect.Success<typeof storeDirectories>

const checkFiles = SecretStore.use((secrets) => secrets.checkFiles)
const failure = SecretStore.use((secrets) => secrets.failure)
const lastEntries = (action: string) =>
  AuditLog.use((audit) => Effect.map(audit.tail(50), (all) => all.filter((entry) => entry.action === action)))

/** Adds a secret, runs the fault, and then the program, in one session. */
const after = <A, E>(
  fault: (place: Place) => void,
  program: (place: Place) => Effect.Effect<A, E, SecretStore | AuditLog>
) =>
  Effect.gen(function* () {
    const place = yield* storeDirectories
    yield* openSession(
      place.directory,
      Effect.gen(function* () {
        yield* addSecret("a", "1")
        fault(place)
        yield* program(place)
      })
    )
    return place
  })

describe("a file of the store that is missing", () => {
  const losses: Record<string, (place: Place) => ReadonlyArray<string>> = {
    "identity.age": ({ identity }) => [identity],
    "secrets.age": ({ secrets }) => [secrets],
    "each of both": ({ identity, secrets }) => [identity, secrets]
  }
  for (const [name, lost] of Object.entries(losses)) {
    it.effect(`is written again before a change, and recorded: ${name}`, () =>
      Effect.gen(function* () {
        const place = yield* after(
          (found) => lost(found).forEach((file) => fs.rmSync(file)),
          (found) =>
            Effect.gen(function* () {
              yield* addSecret("b", "2")
              assert.deepStrictEqual(
                (yield* lastEntries("file_mended")).map(({ details }) => details),
                lost(found).map((file) => `${file} was missing and has been written again from memory`)
              )
              for (const file of lost(found)) assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
            })
        )
        assert.deepStrictEqual(yield* openSession(place.directory, storedValues), ["a=1", "b=2"])
      })
    )
  }

  it.effect("is written again without a change, with the comments that identity.age had", () =>
    Effect.gen(function* () {
      const place = yield* storeDirectories
      yield* openSession(place.directory, addSecret("a", "1"))
      const commented = `# created by hand\n${fs.readFileSync(place.identity, "utf8")}\n`
      fs.writeFileSync(place.identity, commented)
      yield* openSession(
        place.directory,
        Effect.gen(function* () {
          fs.rmSync(place.identity)
          yield* checkFiles
          assert.strictEqual(fs.readFileSync(place.identity, "utf8"), commented)
          assert.isUndefined(yield* failure)
        })
      )
    })
  )
})

describe("a file that another program has changed or replaced", () => {
  const swap = (file: string, contents: string | Uint8Array) => {
    fs.writeFileSync(`${file}.other`, contents)
    fs.renameSync(`${file}.other`, file)
  }
  const faults: Record<string, (place: Place) => void> = {
    "another key": ({ identity }) => swap(identity, otherKey),
    "another key written in place": ({ identity }) => fs.writeFileSync(identity, otherKey),
    "an empty identity.age": ({ identity }) => fs.truncateSync(identity),
    "two keys": ({ identity }) => fs.appendFileSync(identity, `\n${otherKey}`),
    "an older secrets.age": ({ secrets }) => fs.copyFileSync(`${secrets}.bak`, secrets),
    "an older secrets.age with the time and the size of the newer": ({ secrets }) => {
      const { atime, mtime, size } = fs.statSync(secrets)
      fs.writeFileSync(secrets, Buffer.alloc(size, "x"))
      fs.utimesSync(secrets, atime, mtime)
    },
    "a truncated secrets.age": ({ secrets }) => fs.truncateSync(secrets, 100),
    "a secrets.age that grew": ({ secrets }) => fs.appendFileSync(secrets, "x"),
    "a directory as secrets.age": ({ secrets }) => (fs.rmSync(secrets), fs.mkdirSync(secrets)),
    "a directory as identity.age": ({ identity }) => (fs.rmSync(identity), fs.mkdirSync(identity)),
    "a link in place of secrets.age, to the same contents": ({ other, secrets }) => {
      fs.renameSync(secrets, path.join(other, "moved"))
      fs.symlinkSync(path.join(other, "moved"), secrets)
    },
    "a dangling link in place of identity.age": ({ identity, other }) => {
      fs.rmSync(identity)
      fs.symlinkSync(path.join(other, "nothing"), identity)
    }
  }
  const otherKey = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
  const contentsOf = (place: Place) =>
    [place.identity, place.secrets].map((file) =>
      fs.statSync(file, { throwIfNoEntry: false })?.isFile() === true ? fs.readFileSync(file, "hex") : "no file"
    )

  for (const [name, fault] of Object.entries(faults)) {
    it.effect(`is never overwritten, not even by a wipe: ${name}`, () =>
      after(fault, (place) =>
        Effect.gen(function* () {
          const before = contentsOf(place)
          const secrets = yield* SecretStore
          const flipped = [Effect.flip(addSecret("b")), Effect.flip(secrets.remove("a")), Effect.flip(secrets.wipe)]
          for (const error of yield* Effect.all(flipped)) {
            assert.strictEqual(error._tag, "StoreReplaced", error.message)
            assert.match(error.message, /^nothing was changed, because .*(identity|secrets)\.age is no longer the file/)
          }
          assert.deepStrictEqual(contentsOf(place), before)
          assert.deepStrictEqual(yield* storedValues, ["a=1"])
        })
      )
    )
  }

  it.effect("is reported once without a change, with what to do, and no longer when it is gone", () =>
    after(
      ({ secrets }) => fs.appendFileSync(secrets, "x"),
      (place) =>
        Effect.gen(function* () {
          assert.isUndefined(yield* failure)
          yield* checkFiles
          yield* checkFiles
          const found = yield* failure
          assert.include(
            found,
            "another program has changed or replaced it. Move it away, and the daemon will write its own version again"
          )
          assert.lengthOf(yield* lastEntries("store_replaced"), 1)
          yield* Effect.flip(addSecret("b"))
          assert.deepStrictEqual(
            (yield* lastEntries("secret_add")).map(({ secret_name, success }) => [secret_name, success]),
            [
              ["a", true],
              ["b", false]
            ]
          )
          fs.renameSync(place.secrets, path.join(place.other, "kept"))
          yield* checkFiles
          assert.isUndefined(yield* failure)
          yield* addSecret("b", "2")
        })
    ).pipe(
      Effect.flatMap((place) => openSession(place.directory, storedValues)),
      Effect.map((values) => assert.deepStrictEqual(values, ["a=1", "b=2"]))
    )
  )

  const harmless: Record<string, (place: Place) => void> = {
    touched: ({ identity, secrets }) => [identity, secrets].forEach((file) => fs.utimesSync(file, 1, 1)),
    "copied back": ({ identity, secrets }) => {
      for (const file of [identity, secrets]) swap(file, fs.readFileSync(file))
    },
    "given a comment": ({ identity }) => fs.writeFileSync(identity, `# mine\n${fs.readFileSync(identity, "utf8")}\n`),
    "given another mode": ({ identity, secrets }) => [identity, secrets].forEach((file) => fs.chmodSync(file, 0o400)),
    "linked elsewhere": ({ other, secrets }) => fs.linkSync(secrets, path.join(other, "link"))
  }
  for (const [name, act] of Object.entries(harmless)) {
    it.effect(`does not count as such if it was only ${name}`, () =>
      after(act, () => addSecret("b", "2")).pipe(
        Effect.flatMap((place) => openSession(place.directory, storedValues)),
        Effect.map((values) => assert.deepStrictEqual(values, ["a=1", "b=2"]))
      )
    )
  }

  it.effect("does not count as such if it was moved away and back, even if it was written again meanwhile", () =>
    after(
      () => undefined,
      ({ identity, other, secrets }) =>
        Effect.gen(function* () {
          for (const file of [identity, secrets]) {
            const away = path.join(other, path.basename(file))
            fs.renameSync(file, away)
            yield* checkFiles
            assert.isTrue(fs.existsSync(file))
            fs.renameSync(away, file)
            yield* checkFiles
            const [entry] = yield* AuditLog.use((audit) => audit.tail(1))
            assert.strictEqual(entry?.action, "file_mended")
            if (file === secrets) assert.strictEqual(entry?.store, sha256(fs.readFileSync(secrets)))
            yield* addSecret(`after ${path.basename(file)}`, "2")
          }
        })
    ).pipe(
      Effect.flatMap((place) => openSession(place.directory, storedValues)),
      Effect.map((values) => assert.deepStrictEqual(values, ["a=1", "after identity.age=2", "after secrets.age=2"]))
    )
  )

  it.effect("does not count as such if a write of ours failed after its rename", () =>
    after(
      () => undefined,
      () =>
        Effect.gen(function* () {
          const open = fs.promises.open
          // The flush of the directory, which follows the rename, is the only open for reading.
          const stub = async (...args: Parameters<typeof open>) => {
            if (args[1] === fs.constants.O_RDONLY) throw new Error("flush failed")
            return open(...args)
          }
          yield* Effect.acquireUseRelease(
            Effect.sync(() => void (fs.promises.open = stub)),
            () => Effect.flip(addSecret("b")),
            () => Effect.sync(() => void (fs.promises.open = open))
          )
          assert.deepStrictEqual(yield* storedValues, ["a=1"])
          yield* addSecret("c", "3")
        })
    ).pipe(
      Effect.flatMap((place) => openSession(place.directory, storedValues)),
      Effect.map((values) => assert.deepStrictEqual(values, ["a=1", "c=3"]))
    )
  )
})

describe("a store behind symbolic links", () => {
  const linked = Effect.gen(function* () {
    const place = yield* storeDirectories
    yield* openSession(place.directory, Effect.andThen(addSecret("a", "one"), addSecret("b", "two")))
    const real = { identity: path.join(place.other, "key"), secrets: path.join(place.other, "store") }
    for (const file of ["identity", "secrets"] as const) {
      fs.renameSync(place[file], real[file])
      fs.symlinkSync(`../other/${path.basename(real[file])}`, place[file])
    }
    return { ...place, real }
  })
  const isLink = (file: string) => fs.lstatSync(file).isSymbolicLink()

  it.effect("is written beside the real files, with its backup, and the links stay", () =>
    Effect.gen(function* () {
      const place = yield* linked
      yield* openSession(place.directory, addSecret("c", "three"))
      assert.isTrue(isLink(place.identity) && isLink(place.secrets))
      assert.deepStrictEqual(fs.readdirSync(place.other).toSorted(), ["key", "store", "store.bak"])
      assert.deepStrictEqual(yield* openSession(place.directory, storedValues), ["a=one", "b=two", "c=three"])
    })
  )

  it.effect("is wiped where it really is", () =>
    Effect.gen(function* () {
      const place = yield* linked
      const key = fs.readFileSync(place.identity, "utf8")
      const old = yield* openSession(
        place.directory,
        Effect.gen(function* () {
          yield* addSecret("c", "three")
          const before = fs.readFileSync(place.real.secrets)
          assert.strictEqual(yield* SecretStore.use((secrets) => secrets.wipe), 3)
          return before
        })
      )
      assert.isTrue(isLink(place.identity) && isLink(place.secrets))
      assert.deepStrictEqual(fs.readdirSync(place.other).toSorted(), ["key", "store"])
      assert.deepStrictEqual(fs.readdirSync(place.directory).toSorted(), ["identity.age", "secrets.age"])
      assert.notStrictEqual(fs.readFileSync(place.real.identity, "utf8"), key)
      fs.writeFileSync(place.real.secrets, old)
      const error = yield* Effect.flip(openSession(place.directory, Effect.void))
      assert.include(error.message, "not encrypted to the key in identity.age")
    })
  )

  it.effect("is not followed to another place, and gets its links back", () =>
    Effect.gen(function* () {
      const place = yield* linked
      yield* openSession(
        place.directory,
        Effect.gen(function* () {
          fs.copyFileSync(place.real.secrets, path.join(place.other, "copy"))
          fs.rmSync(place.secrets)
          fs.symlinkSync(path.join(place.other, "copy"), place.secrets)
          const error = yield* Effect.flip(addSecret("c"))
          assert.include(error.message, `it is no longer a symbolic link to ${place.real.secrets}`)
          fs.rmSync(place.secrets)
          fs.rmSync(place.identity)
          yield* addSecret("c", "three")
        })
      )
      assert.strictEqual(fs.realpathSync(place.secrets), place.real.secrets)
      assert.deepStrictEqual(yield* openSession(place.directory, storedValues), ["a=one", "b=two", "c=three"])
    })
  )

  it.effect("is not created where the links lead to nothing", () =>
    Effect.gen(function* () {
      const place = yield* linked
      for (const file of Object.values(place.real)) fs.rmSync(file)
      const error = yield* Effect.flip(openSession(place.directory, Effect.void))
      assert.include(error.message, `it is a symbolic link to ${place.real.identity}, which is missing`)
      assert.deepStrictEqual(fs.readdirSync(place.other), [])
    })
  )
})

describe("a deleted value", () => {
  it.effect("is in no file of the store afterwards, and an updated one only in the backup", () =>
    Effect.gen(function* () {
      const place = yield* storeDirectories
      yield* openSession(
        place.directory,
        Effect.gen(function* () {
          yield* addSecret("a", "first-value")
          yield* addSecret("b", "other-value")
          const secrets = yield* SecretStore
          yield* secrets.update("b", { rotateVia: "true" })
          yield* secrets.remove("a")
        })
      )
      const key = fs.readFileSync(place.identity, "utf8")
      assert.deepStrictEqual(fs.readdirSync(place.directory).toSorted(), [
        "identity.age",
        "secrets.age",
        "secrets.age.bak"
      ])
      for (const file of [place.secrets, `${place.secrets}.bak`]) {
        const text = yield* decryptFile(key, file)
        assert.include(text, "other-value")
        assert.notInclude(text, "first-value")
      }
    })
  )

  it.effect("is removed from a backup that cannot be replaced", () =>
    Effect.gen(function* () {
      const place = yield* storeDirectories
      yield* openSession(
        place.directory,
        Effect.gen(function* () {
          yield* addSecret("a", "first-value")
          yield* addSecret("b")
          fs.mkdirSync(`${place.secrets}.bak.tmp`)
          yield* SecretStore.use((secrets) => secrets.remove("a"))
        })
      )
      assert.deepStrictEqual(fs.readdirSync(place.directory).toSorted(), [
        "identity.age",
        "secrets.age",
        "secrets.age.bak.tmp"
      ])
    })
  )
})
