/**
 * Both layers of the store, and its files: created only if none exists, never changed
 * if unreadable, written before memory changes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Decrypter } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { addSecret } from "../../support/testLayer.ts"
import { storeLimit } from "../../../src/domain/Secret.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { memoryAuditLog } from "../../support/memoryAuditLog.ts"

const paths = (directory: string) => ({
  identity: path.join(directory, "identity.age"),
  secrets: path.join(directory, "secrets.age")
})

const storeIn = (directory: string) => SecretStore.layer(paths(directory)).pipe(Layer.provideMerge(memoryAuditLog))

const valueOf = (name: string) =>
  SecretStore.use((secrets) => Effect.map(Effect.fromResult(secrets.get(name)), ({ value }) => Redacted.value(value)))

for (const [name, layer] of [
  ["in memory", SecretStore.layerMemory.pipe(Layer.provideMerge(memoryAuditLog))],
  ["in files", Layer.unwrap(Effect.map(temporaryDirectory, storeIn))]
] as const) {
  describe(`SecretStore ${name}`, () => {
    it.effect("returns added values byte for byte, and lists names in byte order", () =>
      Effect.gen(function* () {
        const pem = "-----BEGIN THING-----\r\nabc\n\n-----END THING-----\n"
        yield* addSecret("b", pem)
        yield* addSecret("10")
        yield* addSecret("9")
        yield* addSecret("ä")
        const secrets = yield* SecretStore
        assert.strictEqual(yield* valueOf("b"), pem)
        assert.deepStrictEqual(
          (yield* secrets.list).map((secret) => secret.name),
          ["10", "9", "b", "ä"]
        )
        assert.strictEqual(yield* secrets.count, 4)
      }).pipe(Effect.provide(layer))
    )

    it.effect("rejects an existing name, and keeps the first value", () =>
      Effect.gen(function* () {
        yield* addSecret("a", "first")
        const refusal = yield* Effect.flip(addSecret("a", "second"))
        assert.strictEqual(refusal.message, 'secret "a": secret already exists')
        assert.strictEqual(yield* valueOf("a"), "first")
      }).pipe(Effect.provide(layer))
    )

    it.effect("removes a secret once", () =>
      Effect.gen(function* () {
        yield* addSecret("a")
        const secrets = yield* SecretStore
        yield* secrets.remove("a")
        assert.strictEqual((yield* Effect.flip(secrets.remove("a")))._tag, "SecretNotFound")
        assert.strictEqual((yield* Effect.flip(Effect.fromResult(secrets.get("a"))))._tag, "SecretNotFound")
      }).pipe(Effect.provide(layer))
    )

    it.effect("records every change in the audit log", () =>
      Effect.gen(function* () {
        yield* addSecret("a")
        yield* SecretStore.use((secrets) => secrets.remove("a"))
        const entries = yield* AuditLog.use((audit) => audit.tail(10))
        assert.deepStrictEqual(
          entries
            .filter(({ secret_name }) => secret_name !== undefined)
            .map(({ action, secret_name, success }) => [action, secret_name, success]),
          [
            ["secret_add", "a", true],
            ["secret_delete", "a", true]
          ]
        )
      }).pipe(Effect.provide(layer))
    )
  })
}

describe("SecretStore in files", () => {
  const session = <A, E>(directory: string, program: Effect.Effect<A, E, SecretStore | AuditLog>) =>
    Effect.provide(program, Layer.fresh(storeIn(directory)))
  const origin = SecretStore.use((secrets) => Effect.succeed(secrets.origin))
  const contents = (directory: string) =>
    Object.fromEntries(
      fs.readdirSync(directory).map((name) => [name, fs.readFileSync(path.join(directory, name), "hex")])
    )

  it.effect("creates a key of 74 bytes and an empty store if neither file exists", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      assert.strictEqual(yield* session(directory, origin), "initialized")
      const identity = fs.readFileSync(paths(directory).identity, "utf8")
      assert.match(identity, /^AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}$/)
      assert.deepStrictEqual(fs.readdirSync(directory).toSorted(), ["identity.age", "secrets.age"])
      for (const file of Object.values(paths(directory))) assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
      assert.strictEqual(yield* session(directory, origin), "loaded")
    })
  )

  it.effect("writes the age format with the predecessor's layout", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, addSecret("a<b", 'line 1\n"line 2" & more'))
      const decrypter = new Decrypter()
      decrypter.addIdentity(fs.readFileSync(paths(directory).identity, "utf8"))
      const text = yield* Effect.promise(() => decrypter.decrypt(fs.readFileSync(paths(directory).secrets), "text"))
      const time = "1970-01-01T00:00:00Z"
      assert.strictEqual(
        text.replaceAll(/"1970-[^"]*"|"1969-[^"]*"/g, `"${time}"`),
        `{\n  "version": 1,\n  "secrets": {\n    "a\\u003cb": {\n      "name": "a\\u003cb",\n      "created_at": "${time}",\n` +
          `      "updated_at": "${time}",\n      "last_rotated": "0001-01-01T00:00:00Z",\n` +
          `      "value": "line 1\\n\\"line 2\\" \\u0026 more"\n    }\n  }\n}`
      )
    })
  )

  it.effect("keeps the store before the last change as a backup", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, addSecret("a"))
      const before = fs.readFileSync(paths(directory).secrets, "hex")
      yield* session(directory, addSecret("b"))
      assert.strictEqual(fs.readFileSync(`${paths(directory).secrets}.bak`, "hex"), before)
    })
  )

  for (const [damage, harm] of [
    ["a truncated store", (at: string) => fs.truncateSync(paths(at).secrets, 150)],
    ["an empty store file", (at: string) => fs.truncateSync(paths(at).secrets, 0)],
    ["a store that is not age", (at: string) => fs.writeFileSync(paths(at).secrets, "{}")],
    ["a missing store", (at: string) => fs.rmSync(paths(at).secrets)],
    ["a missing key", (at: string) => fs.rmSync(paths(at).identity)],
    ["an invalid key", (at: string) => fs.writeFileSync(paths(at).identity, "AGE-SECRET-KEY-1QQQ")],
    ["an empty key file", (at: string) => fs.truncateSync(paths(at).identity, 0)]
  ] as const) {
    it.effect(`does not start with ${damage}, names the file, and changes nothing`, () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        yield* session(directory, addSecret("a"))
        harm(directory)
        const before = contents(directory)
        const failure = yield* Effect.flip(session(directory, origin))
        assert.strictEqual(failure._tag, "StoreUnreadable")
        assert.include(failure.message, directory)
        assert.deepStrictEqual(contents(directory), before)
      })
    )
  }

  it.effect("does not start with the key of another store", () =>
    Effect.gen(function* () {
      const [mine, other] = [yield* temporaryDirectory, yield* temporaryDirectory]
      yield* session(mine, addSecret("a"))
      yield* session(other, addSecret("b"))
      fs.copyFileSync(paths(other).identity, paths(mine).identity)
      const failure = yield* Effect.flip(session(mine, origin))
      assert.include(failure.message, "not encrypted to the key in identity.age")
    })
  )

  it.effect("reads a key with the comments and line feeds of age-keygen", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, addSecret("a"))
      const key = fs.readFileSync(paths(directory).identity, "utf8")
      fs.writeFileSync(paths(directory).identity, `# created: 2026-11-22\n# public key: age1x\r\n${key}\r\n`)
      assert.strictEqual(yield* session(directory, valueOf("a")), "value of a")
    })
  )

  it.effect("removes the access of other users to the files", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, addSecret("a"))
      for (const file of Object.values(paths(directory))) fs.chmodSync(file, 0o644)
      assert.strictEqual(yield* session(directory, valueOf("a")), "value of a")
      for (const file of Object.values(paths(directory))) assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
    })
  )

  it.effect("completes a creation that was interrupted before the key was renamed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(directory, origin)
      fs.renameSync(paths(directory).identity, `${paths(directory).identity}.new`)
      assert.strictEqual(yield* session(directory, origin), "loaded")
      fs.rmSync(paths(directory).secrets)
      fs.renameSync(paths(directory).identity, `${paths(directory).identity}.new`)
      assert.strictEqual(yield* session(directory, origin), "initialized")
    })
  )

  it.effect("neither adds nor removes a secret if the write fails", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(
        directory,
        Effect.gen(function* () {
          const secrets = yield* SecretStore
          yield* addSecret("a")
          // A directory at the path of the temporary file: not even root can write there.
          fs.mkdirSync(path.join(`${paths(directory).secrets}.tmp`, "in the way"), { recursive: true })
          assert.strictEqual((yield* Effect.flip(addSecret("b")))._tag, "SecretStoreError")
          assert.strictEqual((yield* Effect.flip(secrets.remove("a")))._tag, "SecretStoreError")
          assert.strictEqual((yield* Effect.flip(valueOf("b")))._tag, "SecretNotFound")
          assert.strictEqual(yield* valueOf("a"), "value of a")
          const recorded = (yield* AuditLog.use((audit) => audit.tail(10))).map(({ action, success }) => [
            action,
            success
          ])
          assert.deepStrictEqual(recorded.slice(-4), [
            ["secret_add", true],
            ["secret_add", false],
            ["secret_delete", true],
            ["secret_delete", false]
          ])
        })
      )
      fs.rmSync(`${paths(directory).secrets}.tmp`, { recursive: true })
      assert.strictEqual(yield* session(directory, valueOf("a")), "value of a")
    })
  )

  it.effect("rejects a change that makes the store too large, but not one that shrinks it", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* session(
        directory,
        Effect.gen(function* () {
          const secrets = yield* SecretStore
          // Names count too.
          const value = "x".repeat(storeLimit / 2 - 1)
          yield* addSecret("a", value)
          yield* addSecret("b", value)
          assert.strictEqual((yield* Effect.flip(addSecret("c")))._tag, "StoreFull")
          const grown = yield* Effect.flip(secrets.update("a", { value: Redacted.make(`${value}x`) }))
          assert.strictEqual(grown.message, "the store is full: all secrets together may have 8388608 bytes")
          const [last] = yield* AuditLog.use((audit) => audit.tail(1))
          assert.deepStrictEqual([last?.action, last?.details], ["secret_update", "the store is full"])
          yield* secrets.update("a", { value: Redacted.make("short") })
          yield* addSecret("c")
        })
      )
      assert.strictEqual(yield* session(directory, valueOf("c")), "value of c")
    })
  )
})
