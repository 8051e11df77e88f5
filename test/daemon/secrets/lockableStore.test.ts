/**
 * A lock survives everything but an unlock: restarts, a damaged or foreign lock file, another
 * directory. A locked store is not read, and an unlock reads it again.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import * as v8 from "node:v8"
import { runInNewContext } from "node:vm"
import { lockFilePath } from "../../../src/domain/Secret.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import type { StoreMemory } from "../../../src/daemon/secrets/storeFiles.ts"
import { openSession, storeDirectories, storedValues } from "../../support/storeSetup.ts"
import { addSecret } from "../../support/testLayer.ts"

const lock = SecretStore.use((secrets) => secrets.lock(Effect.void))
const unlock = SecretStore.use((secrets) => secrets.unlock)
const isLocked = SecretStore.use((secrets) => Effect.sync(() => secrets.lockedSince() !== undefined))
const count = SecretStore.use((secrets) => secrets.count)
const ours = Effect.andThen(addSecret("db"), addSecret("mail"))
const tagOf = <A, E extends { readonly _tag: string }, R>(run: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(run), ({ _tag }) => _tag)

describe("a lock", () => {
  it.live("survives a restart, with the number of secrets, and without reading the store", () =>
    Effect.gen(function* () {
      const { directory, identity } = yield* storeDirectories
      yield* openSession(directory, Effect.andThen(ours, lock))
      fs.renameSync(identity, `${identity}.away`)
      yield* openSession(
        directory,
        Effect.gen(function* () {
          assert.deepStrictEqual([yield* isLocked, yield* count, yield* tagOf(storedValues)], [true, 2, "StoreLocked"])
          assert.strictEqual(yield* tagOf(unlock), "StoreUnreadable")
          fs.renameSync(`${identity}.away`, identity)
          assert.isDefined(yield* unlock)
          assert.deepStrictEqual(yield* storedValues, ["db=value of db", "mail=value of mail"])
        })
      )
      assert.isFalse(yield* openSession(directory, isLocked))
    })
  )

  it.live.each<readonly [what: string, make: (file: string) => void]>([
    ["is empty", (file) => fs.writeFileSync(file, "")],
    ["is not JSON", (file) => fs.writeFileSync(file, "{")],
    ["has other members", (file) => fs.writeFileSync(file, '{"locked_at":5,"secrets":"x"}')],
    ["is huge", (file) => fs.writeFileSync(file, "x".repeat(100_000))],
    ["is a dangling link", (file) => fs.symlinkSync("nowhere", file)],
    ["is a link to a device", (file) => fs.symlinkSync("/dev/zero", file)],
    ["is a directory", (file) => fs.mkdirSync(file)]
  ])("holds if its file %s", ([, make]) =>
    Effect.gen(function* () {
      const { directory, secrets } = yield* storeDirectories
      yield* openSession(directory, ours)
      make(lockFilePath(secrets))
      yield* openSession(
        directory,
        Effect.gen(function* () {
          assert.deepStrictEqual([yield* isLocked, yield* tagOf(storedValues)], [true, "StoreLocked"])
          yield* lock
        })
      )
    })
  )

  it.live("stays if the store does not open any more, and if there is none", () =>
    Effect.gen(function* () {
      const { directory, identity, secrets } = yield* storeDirectories
      yield* openSession(directory, Effect.andThen(ours, lock))
      fs.writeFileSync(secrets, "damaged")
      const tries = Effect.gen(function* () {
        assert.strictEqual(yield* tagOf(unlock), "StoreUnreadable")
        assert.deepStrictEqual([yield* isLocked, yield* tagOf(storedValues)], [true, "StoreLocked"])
      })
      yield* openSession(directory, tries)
      for (const file of [identity, secrets]) fs.rmSync(file)
      yield* openSession(directory, tries)
      assert.isFalse(fs.existsSync(identity))
    })
  )

  it.live("stays in a process whose directory is replaced, and is written there too", () =>
    Effect.gen(function* () {
      const { directory, home, secrets } = yield* storeDirectories
      const memory: StoreMemory = { last: undefined }
      yield* openSession(directory, Effect.andThen(ours, lock), memory)
      fs.renameSync(directory, path.join(home, "away"))
      fs.mkdirSync(directory)
      assert.isTrue(yield* openSession(directory, isLocked, memory))
      assert.deepStrictEqual(fs.readdirSync(directory), [path.basename(lockFilePath(secrets))])
    })
  )

  it.live("holds until a restart if it cannot be written down", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* storeDirectories
      yield* openSession(
        directory,
        Effect.gen(function* () {
          yield* ours
          fs.renameSync(directory, path.join(home, "away"))
          assert.strictEqual(yield* tagOf(lock), "LockNotKept")
          assert.strictEqual(yield* tagOf(storedValues), "StoreLocked")
        })
      )
    })
  )

  it.live("is not undone by a wipe, after which the next key opens the empty store", () =>
    Effect.gen(function* () {
      const { directory, identity } = yield* storeDirectories
      yield* openSession(directory, Effect.andThen(ours, lock))
      const before = fs.readFileSync(identity, "utf8")
      yield* openSession(
        directory,
        Effect.gen(function* () {
          assert.strictEqual(yield* SecretStore.use((secrets) => secrets.wipe), 2)
          assert.deepStrictEqual([yield* isLocked, yield* count], [true, 0])
        })
      )
      assert.notStrictEqual(fs.readFileSync(identity, "utf8"), before)
      yield* openSession(
        directory,
        Effect.gen(function* () {
          assert.isTrue(yield* isLocked)
          yield* unlock
          assert.deepStrictEqual(yield* storedValues, [])
        })
      )
    })
  )

  it.live("leaves no reference to a value or the key", () =>
    Effect.gen(function* () {
      const { directory } = yield* storeDirectories
      const memory: StoreMemory = { last: undefined }
      v8.setFlagsFromString("--expose-gc")
      const collect: () => void = runInNewContext("gc")
      yield* openSession(
        directory,
        Effect.gen(function* () {
          const secrets = yield* SecretStore
          yield* secrets.add({ name: "db", value: Redacted.make("made-up"), rotateVia: "", rotateStdout: false })
          const referenced = () => {
            const { value } = Result.getOrThrow(secrets.get("db"))
            return [new WeakRef<object>(value), new WeakRef<object>(memory.last?.key ?? {})]
          }
          const references = referenced()
          yield* lock
          for (let round = 0; round < 5 && references.some((one) => one.deref() !== undefined); round += 1) {
            yield* Effect.promise(() => new Promise(setImmediate))
            collect()
          }
          assert.deepStrictEqual(
            references.map((one) => one.deref()),
            [undefined, undefined]
          )
        }),
        memory
      )
    })
  )
})
