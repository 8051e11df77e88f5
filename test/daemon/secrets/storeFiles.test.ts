/**
 * A process that reopens its store reads the files if they exist. Otherwise it writes them
 * from memory with the same key, and never on another disk. It writes only to the directory
 * in which it opened the store.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import type { StoreMemory } from "../../../src/daemon/secrets/storeFiles.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { addSecret } from "../../support/testLayer.ts"
import { memoryAuditLog } from "../../support/memoryAuditLog.ts"

const setUp = Effect.fnUntraced(function* () {
  const directory = path.join(yield* temporaryDirectory, "state")
  fs.mkdirSync(directory)
  const memory: StoreMemory = { last: undefined }
  const paths = { identity: path.join(directory, "identity.age"), secrets: path.join(directory, "secrets.age") }
  return {
    directory,
    memory,
    paths,
    key: () => fs.readFileSync(paths.identity, "utf8"),
    /** Opens the store, runs a program over it and closes it. */
    open: <A, E>(program: Effect.Effect<A, E, SecretStore | AuditLog>) =>
      Effect.provide(program, Layer.fresh(SecretStore.layer(paths, memory).pipe(Layer.provideMerge(memoryAuditLog))))
  }
})

const values = SecretStore.use((secrets) =>
  Effect.flatMap(secrets.list, (all) =>
    Effect.forEach(all, ({ name }) =>
      Effect.map(Effect.fromResult(secrets.get(name)), ({ value }) => `${name}=${Redacted.value(value)}`)
    )
  )
)
const empty = (directory: string) => {
  fs.rmSync(directory, { recursive: true })
  fs.mkdirSync(directory)
}

describe("a store that is reopened", () => {
  it.effect("is written from memory with the same key if its files are gone, and that is recorded", () =>
    Effect.gen(function* () {
      const { directory, key, memory, open, paths } = yield* setUp()
      yield* open(Effect.andThen(addSecret("a", "1"), addSecret("b", "2")))
      const before = key()
      empty(directory)
      yield* open(
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* values, ["a=1", "b=2"])
          assert.strictEqual((yield* SecretStore).origin, "loaded")
          const entries = yield* AuditLog.use((audit) => audit.tail(10))
          assert.deepStrictEqual(
            entries.map(({ action, details }) => [action, details]),
            [
              [
                "file_mended",
                `the store files were missing; restored 2 secrets to ${paths.secrets} from memory, with the same key`
              ]
            ]
          )
        })
      )
      assert.strictEqual(key(), before)
      // A process without this memory reads the same from the files.
      memory.last = undefined
      assert.deepStrictEqual(yield* open(values), ["a=1", "b=2"])
    })
  )

  it.effect("is read from its files if they exist, whatever is in memory", () =>
    Effect.gen(function* () {
      const ours = yield* setUp()
      yield* ours.open(addSecret("ours"))
      const theirs = yield* setUp()
      yield* theirs.open(addSecret("theirs", "x"))
      fs.rmSync(ours.directory, { recursive: true })
      fs.renameSync(theirs.directory, ours.directory)
      assert.deepStrictEqual(yield* ours.open(values), ["theirs=x"])
    })
  )

  it.effect("is neither written nor created on another disk", () =>
    Effect.gen(function* () {
      const { directory, memory, open } = yield* setUp()
      yield* open(addSecret("a"))
      empty(directory)
      const last = memory.last ?? assert.fail("no state in memory")
      memory.last = { ...last, devices: last.devices.map((device) => device + 1) }
      const error = yield* Effect.flip(open(Effect.void))
      assert.include(error.message, "it is missing, and its directory is now on another disk")
      assert.deepStrictEqual(fs.readdirSync(directory), [])
    })
  )

  it.effect("has the last change, and not one that could not be written", () =>
    Effect.gen(function* () {
      const { directory, open } = yield* setUp()
      yield* open(
        Effect.gen(function* () {
          yield* addSecret("a", "1")
          fs.mkdirSync(path.join(directory, "secrets.age.tmp"))
          yield* Effect.flip(addSecret("b"))
        })
      )
      empty(directory)
      assert.deepStrictEqual(yield* open(values), ["a=1"])
    })
  )
})

describe("a store whose directory was replaced", () => {
  it.effect("is not written, and the new directory stays unchanged", () =>
    Effect.gen(function* () {
      const { directory, open } = yield* setUp()
      yield* open(
        Effect.gen(function* () {
          yield* addSecret("a", "1")
          fs.renameSync(directory, `${directory}.away`)
          assert.include((yield* Effect.flip(addSecret("b"))).message, "the directory is missing")
          fs.mkdirSync(directory)
          fs.writeFileSync(path.join(directory, "secrets.age"), "theirs")
          fs.writeFileSync(path.join(directory, "secrets.age.bak"), "theirs")
          const error = yield* Effect.flip(addSecret("b"))
          assert.include(error.message, "failed to write secrets file: cannot write to")
          assert.include(error.message, "another directory has replaced it")
          yield* Effect.flip(SecretStore.use((secrets) => secrets.wipe))
          assert.deepStrictEqual(fs.readdirSync(directory), ["secrets.age", "secrets.age.bak"])
          assert.strictEqual(fs.readFileSync(path.join(directory, "secrets.age"), "utf8"), "theirs")
          fs.rmSync(directory, { recursive: true })
          fs.renameSync(`${directory}.away`, directory)
          yield* addSecret("b", "2")
          assert.deepStrictEqual(yield* values, ["a=1", "b=2"])
        })
      )
    })
  )
})
