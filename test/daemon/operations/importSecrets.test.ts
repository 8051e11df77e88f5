/**
 * An import writes the store once, with an audit entry for each secret, and is all or nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { importSecrets } from "../../../src/daemon/operations/addSecrets.ts"
import { storeLimit } from "../../../src/domain/Secret.ts"
import { handlers } from "../../../src/rpc/server/handlers.ts"
import { ConnectionState } from "../../../src/rpc/transport/Connections.ts"
import { maxImported } from "../../../src/rpc/protocol/limits.ts"
import { openSession, storeDirectories, storedValues } from "../../support/storeSetup.ts"
import { addSecret, testLayerNoTelemetry, testLayerWithAudit } from "../../support/testLayer.ts"

const secret = (name: string, value = `new ${name}`) => ({
  name,
  value: Redacted.make(value),
  rotateVia: "",
  rotateStdout: false
})

const entries = Effect.map(
  AuditLog.use((audit) => audit.tail(100)),
  (all) => all.map(({ action, secret_name: name, success }) => [action, name, success])
)

describe("an import", () => {
  it.effect("writes the store once, and names it in its last entry alone", () =>
    Effect.gen(function* () {
      const { directory, secrets: file } = yield* storeDirectories
      yield* openSession(
        directory,
        Effect.gen(function* () {
          yield* addSecret("b", "old b")
          const before = fs.readFileSync(file)
          yield* importSecrets(
            ["a", "b", "c"].map((name) => secret(name)),
            true
          )
          assert.deepStrictEqual(yield* storedValues, ["a=new a", "b=new b", "c=new c"])
          assert.deepStrictEqual(fs.readFileSync(`${file}.bak`), before)
          const last = (yield* AuditLog.use((audit) => audit.tail(100))).slice(-3)
          assert.deepStrictEqual(
            last.map(({ action, secret_name: name, store }) => [action, name, store !== undefined]),
            [
              ["secret_add", "a", false],
              ["secret_update", "b", false],
              ["secret_add", "c", true]
            ]
          )
        })
      )
      yield* openSession(
        directory,
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* storedValues, ["a=new a", "b=new b", "c=new c"])
        })
      )
    })
  )

  it.effect("leaves what exists, returns its names and adds the rest", () =>
    Effect.gen(function* () {
      yield* addSecret("b", "old b")
      const { existing } = yield* importSecrets(
        ["a", "b"].map((name) => secret(name)),
        false
      )
      assert.deepStrictEqual(existing, ["b"])
      assert.deepStrictEqual(yield* storedValues, ["a=new a", "b=old b"])
      assert.deepStrictEqual((yield* entries).slice(-2), [
        ["secret_add", "b", false],
        ["secret_add", "a", true]
      ])
      yield* importSecrets([secret("b")], false)
      assert.deepStrictEqual((yield* entries).at(-1), ["secret_add", "b", false])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("adds nothing if the store would be too large", () =>
    Effect.gen(function* () {
      const large = Array.from({ length: 9 }, (_, at) => secret(`s${at}`, "x".repeat(storeLimit / 8)))
      const failure = yield* Effect.flip(importSecrets(large, true))
      assert.strictEqual(failure._tag, "StoreFull")
      assert.deepStrictEqual(yield* storedValues, [])
      const refused = yield* entries
      assert.lengthOf(refused, 9)
      assert.isTrue(refused.every(([, , success]) => success === false))
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  const broken = { now: false }
  it.effect("adds nothing without its audit entries", () =>
    Effect.gen(function* () {
      broken.now = true
      assert.strictEqual((yield* Effect.flip(importSecrets([secret("a")], true)))._tag, "AuditLogError")
      assert.deepStrictEqual(yield* storedValues, [])
    }).pipe(Effect.provide(testLayerWithAudit(broken)))
  )

  it.effect("names the secrets that look like new ones", () =>
    Effect.gen(function* () {
      yield* addSecret("caf\u00e9")
      const { looksLike } = yield* importSecrets([secret("cafe\u0301"), secret("token"), secret("token ")], false)
      assert.deepStrictEqual(looksLike, [
        ["cafe\u0301", "caf\u00e9"],
        ["token", "token "],
        ["token ", "token"]
      ])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})

describe("secrets.import", () => {
  const call = (params: unknown): Effect.Effect<unknown, any, any> => handlers["secrets.import"](params)
  const encoded = (...texts: ReadonlyArray<string>) =>
    texts.map((text) => Buffer.from(text).toString("base64")).join(",")
  const inServices = <A, E, R>(test: Effect.Effect<A, E, R>) =>
    Effect.provide(test, testLayerNoTelemetry) as Effect.Effect<A, E, never>

  it.effect("takes names and values of any text", () =>
    inServices(
      Effect.gen(function* () {
        const reply = yield* call({ entries: encoded("a,b", "x\ny,", "é", "\u0000\u2028") })
        assert.deepInclude(reply, { success: true, existing: [], looks_like: [] })
        assert.deepStrictEqual(yield* storedValues, ["a,b=x\ny,", "é=\u0000\u2028"])
      })
    )
  )

  it.effect("adds nothing for a client that has left", () =>
    inServices(
      Effect.gen(function* () {
        const state = { ...(yield* ConnectionState), closed: Effect.void }
        const left = Effect.provideService(call({ entries: encoded("a", "x") }), ConnectionState, state)
        assert.strictEqual((yield* Effect.flip(left)).message, "the client left before anything was added")
        assert.deepStrictEqual(yield* storedValues, [])
      })
    )
  )

  for (const [entriesGiven, message] of [
    ["", "entries is required"],
    [encoded("a"), "invalid parameters: a name has no value"],
    [encoded("a", "1", "a", "2"), "invalid parameters: two secrets have the same name"],
    [encoded("a", ""), "secret value is required"],
    [encoded("", "a"), "secret name is required"],
    [encoded("a", "x".repeat(1024 * 1024 + 1)), "secret value is longer than 1048576 bytes"],
    ["/w==,YQ==", "invalid parameters: a name or value is not UTF-8 text"],
    ["YQ==,eA=!=", "invalid parameters: a name or value is not base64"],
    ["YQ==,eA==eA==", "invalid parameters: a name or value is not base64"],
    ["YR==,eA==", "invalid parameters: a name or value is not base64"],
    ["YQ==,YQ==,".repeat(maxImported + 1), `invalid parameters: more than ${maxImported} secrets were given`]
  ] as const) {
    it.effect(`rejects ${entriesGiven.slice(0, 20)} and adds nothing: ${message}`, () =>
      inServices(
        Effect.gen(function* () {
          assert.strictEqual((yield* Effect.flip(call({ entries: entriesGiven }))).message, message)
          assert.deepStrictEqual(yield* storedValues, [])
        })
      )
    )
  }
})
