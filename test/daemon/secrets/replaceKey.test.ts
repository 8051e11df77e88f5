/**
 * A wipe replaces the key and the store. Wherever it is cut off, the next start finds the old
 * pair or the new one; and where a step fails while the daemon lives, the next change finishes it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { addSecret } from "../../support/testLayer.ts"
import { decryptFile, openSession, storeDirectories, storedValues } from "../../support/storeSetup.ts"

const names = ["open", "rename", "rm", "link"] as const
const noSpace = () => Promise.reject(Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" }))

/** Runs a program while `fails` decides which of the calls that change files fail, by their number from 1. */
const withFaults = <A, E, R>(fails: (call: number) => boolean, program: Effect.Effect<A, E, R>) => {
  let calls = 0
  return Effect.acquireUseRelease(
    Effect.sync(() => {
      const original = Object.fromEntries(names.map((name) => [name, fs.promises[name]]))
      for (const name of names) {
        const call = Reflect.get(fs.promises, name)
        Reflect.set(fs.promises, name, (...args: ReadonlyArray<unknown>) => {
          calls += 1
          return fails(calls) ? noSpace() : Reflect.apply(call, fs.promises, args)
        })
      }
      return original
    }),
    () => Effect.map(program, (result) => ({ result, calls })),
    (original) => Effect.sync(() => Object.assign(fs.promises, original))
  )
}

const wipe = SecretStore.use((secrets) => secrets.wipe)

/** Wipes a store of two secrets and a backup under these faults, and returns what is there afterwards. */
const wipeWith = Effect.fnUntraced(function* (
  fails: (call: number) => boolean,
  then: Effect.Effect<unknown, unknown, SecretStore> = Effect.void
) {
  const place = yield* storeDirectories
  const { calls, result, before } = yield* openSession(
    place.directory,
    Effect.gen(function* () {
      yield* addSecret("a", "1")
      yield* addSecret("b", "2")
      const old = { key: fs.readFileSync(place.identity, "utf8"), store: fs.readFileSync(place.secrets) }
      const wiped = yield* withFaults(fails, Effect.result(wipe))
      yield* then
      return { ...wiped, before: old }
    })
  )
  return { ...place, before, calls, isDone: Result.isSuccess(result) }
})

describe("a wipe", () => {
  it.effect("makes a new key, so that an older store and its backup open no more", () =>
    Effect.gen(function* () {
      const place = yield* wipeWith(() => false)
      assert.isTrue(place.isDone)
      assert.deepStrictEqual(fs.readdirSync(place.directory).toSorted(), ["identity.age", "secrets.age"])
      const key = fs.readFileSync(place.identity, "utf8")
      assert.match(key, /^AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}$/)
      assert.notStrictEqual(key, place.before.key)
      assert.strictEqual(yield* decryptFile(key, place.secrets), '{\n  "version": 1,\n  "secrets": {}\n}')
      fs.writeFileSync(place.secrets, place.before.store)
      assert.isUndefined(yield* decryptFile(key, place.secrets))
    })
  )

  it.effect("leaves the old pair or the new one, wherever a crash cuts it off", () =>
    Effect.gen(function* () {
      const { calls } = yield* wipeWith(() => false)
      assert.isAbove(calls, 10)
      const found = new Set<string>()
      for (let cut = 1; cut <= calls; cut += 1) {
        // From the cut on nothing is written, as by a process that has died.
        const place = yield* wipeWith((call) => call >= cut)
        const values = yield* openSession(place.directory, storedValues)
        found.add(values.join())
        const isOld = fs.readFileSync(place.identity, "utf8") === place.before.key
        assert.deepStrictEqual([values, isOld], isOld ? [["a=1", "b=2"], true] : [[], false], `cut at ${cut}`)
        const left = fs.readdirSync(place.directory).filter((name) => !name.endsWith(".tmp"))
        if (!isOld) assert.deepStrictEqual(left.toSorted(), ["identity.age", "secrets.age"], `cut at ${cut}`)
        assert.deepStrictEqual(yield* openSession(place.directory, Effect.andThen(addSecret("c", "3"), storedValues)), [
          ...values,
          "c=3"
        ])
      }
      assert.deepStrictEqual([...found].toSorted(), ["", "a=1,b=2"])
    })
  )

  it.effect("that fails at one step has either happened or not, and changes go on", () =>
    Effect.gen(function* () {
      const { calls } = yield* wipeWith(() => false)
      for (let at = 1; at <= calls; at += 1) {
        let wasWiped = false
        const change = Effect.gen(function* () {
          wasWiped = (yield* storedValues).length === 0
          yield* addSecret("c", "3")
        })
        const place = yield* wipeWith((call) => call === at, change)
        assert.isFalse(place.isDone && !wasWiped, `step ${at}`)
        const expected = wasWiped ? ["c=3"] : ["a=1", "b=2", "c=3"]
        assert.deepStrictEqual(yield* openSession(place.directory, storedValues), expected, `step ${at}`)
        assert.strictEqual(fs.readFileSync(place.identity, "utf8") === place.before.key, !wasWiped, `step ${at}`)
      }
    })
  )

  it.effect("that could not remove the backup says so in the audit log", () =>
    Effect.gen(function* () {
      const place = yield* storeDirectories
      yield* openSession(
        place.directory,
        Effect.gen(function* () {
          fs.mkdirSync(`${place.secrets}.bak`)
          const error = yield* Effect.flip(wipe)
          assert.include(error.message, "cannot remove")
          const [entry] = yield* AuditLog.use((audit) => audit.tail(1))
          assert.strictEqual(entry?.details, "the secrets are wiped, but an old key or backup could not be removed")
        })
      )
    })
  )
})
