/** A request is read as its machine signed it, and an invitation by that machine alone. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { deriveFrom, generateKey } from "../../../src/daemon/secrets/ageFile.ts"
import { readInvitation, readRequest, writeInvitation, writeRequest } from "../../../src/daemon/team/invitation.ts"
import { publicKeyOf, signingKey, signingPurpose } from "../../../src/daemon/team/signatures.ts"
import type { Signer } from "../../../src/daemon/team/signer.ts"

const makeSigner = Effect.fnUntraced(function* (name: string) {
  const store = yield* generateKey
  const key = signingKey(deriveFrom(store, signingPurpose))
  const signer: Signer = {
    name,
    key,
    store,
    keys: { machine: name, recipient: store.recipient, key: publicKeyOf(key) }
  }
  return signer
})

describe("a request", () => {
  it.effect("is that of its machine, and nothing in it can be exchanged", () =>
    Effect.gen(function* () {
      const [own, other] = [yield* makeSigner("m7"), yield* makeSigner("m7")]
      const text = writeRequest(own)
      assert.deepStrictEqual(readRequest(text), own.keys)
      for (const [from, to] of [
        ["m7", "m6"],
        [own.keys.recipient, other.keys.recipient],
        [own.keys.key, other.keys.key]
      ] as const) {
        assert.notStrictEqual(text.replace(from, to), text)
        assert.isUndefined(readRequest(text.replace(from, to)))
      }
      for (const none of ["", "{}", "no request"]) assert.isUndefined(readRequest(none))
    })
  )
})

describe("an invitation", () => {
  it.effect("is read by the machine that it is for, and by no other", () =>
    Effect.gen(function* () {
      const [own, other] = [yield* makeSigner("m7"), yield* makeSigner("m6")]
      const invitation = { v: 1, machine: "m7", url: "postgres://as_m7@localhost/secrets", founded: "hash" } as const
      const file = yield* writeInvitation(invitation, own.keys.recipient)
      assert.deepStrictEqual(yield* readInvitation(file, own.store), invitation)
      assert.strictEqual((yield* Effect.flip(readInvitation(file, other.store)))._tag, "AgeError")
    })
  )
})
