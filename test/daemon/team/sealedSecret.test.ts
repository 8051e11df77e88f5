/** A sealed secret is opened by the machines that it is for, and refused if the database shows it as something else. */
import { assert, describe, it } from "@effect/vitest"
import { Encrypter } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { createHash } from "node:crypto"
import { generateKey } from "../../../src/daemon/secrets/ageFile.ts"
import type { StoredSecret } from "../../../src/daemon/secrets/storeDocument.ts"
import { openSealed, publicKeyOf, recipientsHash, seal, signingKey } from "../../../src/daemon/team/sealedSecret.ts"
import { zeroTimestamp } from "../../../src/domain/Timestamp.ts"

const secret = (name: string): StoredSecret => ({
  name,
  value: Redacted.make(`made-up value of ${name}`),
  createdAt: zeroTimestamp,
  updatedAt: zeroTimestamp,
  lastRotated: zeroTimestamp,
  rotateVia: "",
  rotateStdout: false,
  description: "",
  foreign: {}
})

const makeMachine = Effect.fnUntraced(function* (name: string) {
  const key = yield* generateKey
  const signing = signingKey(createHash("sha256").update(name).digest())
  return { name, key, signing, listed: { name, recipient: key.recipient, key: publicKeyOf(signing) } }
})

const setup = Effect.gen(function* () {
  const [m1, m2, other] = yield* Effect.all([makeMachine("m1"), makeMachine("m2"), makeMachine("other")])
  const machines = [m1.listed, m2.listed]
  return { m1, m2, other, machines, by: { by: "m1", key: m1.signing, machines } }
})

describe("a sealed secret", () => {
  it.effect("is opened by each machine of the list, and by no other", () =>
    Effect.gen(function* () {
      const { by, m1, m2, machines, other } = yield* setup
      const row = { name: "db", version: 3, sealed: yield* seal(secret("db"), 3, by) }
      for (const { key } of [m1, m2]) {
        const opened = Result.getOrThrow(yield* openSealed(row, key, machines))
        assert.strictEqual(Redacted.value(opened.secret.value), "made-up value of db")
        assert.strictEqual(opened.recipients, recipientsHash(machines))
      }
      const refused = yield* openSealed(row, other.key, machines)
      assert.deepStrictEqual(refused, Result.fail("it is not encrypted to this machine"))
    })
  )

  it.effect("is refused as another secret, as another version, and from a machine that is not in the list", () =>
    Effect.gen(function* () {
      const { by, m2, machines, other } = yield* setup
      const row = { name: "db", version: 3, sealed: yield* seal(secret("db"), 3, by) }
      const foreign = yield* seal(secret("db"), 3, { by: "other", key: other.signing, machines })
      const forged = yield* seal(secret("db"), 3, { ...by, key: other.signing })
      const plain = new Encrypter()
      for (const { recipient } of machines) plain.addRecipient(recipient)
      const unsigned = yield* Effect.promise(() => plain.encrypt("planted"))
      for (const [given, reason] of [
        [{ ...row, name: "mail" }, "it is another secret than the database states"],
        [{ ...row, version: 4 }, "it is another version than the database states"],
        [{ ...row, sealed: foreign }, "it is signed by a machine that is not in team.machines"],
        [{ ...row, sealed: forged }, "its signature is not that of m1"],
        [{ ...row, sealed: unsigned }, "its contents are not those of a team's secret"]
      ] as const) {
        assert.deepStrictEqual(yield* openSealed(given, m2.key, machines), Result.fail(reason))
      }
    })
  )
})
