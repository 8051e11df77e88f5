/** A sealed secret is opened by the machines that it is for, and refused if the database shows it as something else. */
import { assert, describe, it } from "@effect/vitest"
import { Encrypter } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { createHash } from "node:crypto"
import { generateKey } from "../../../src/daemon/secrets/ageFile.ts"
import {
  extendMembers,
  type MemberList,
  nextStatement,
  noMembers,
  recipientsOf
} from "../../../src/daemon/team/members.ts"
import { openSealed, recipientsHash, seal } from "../../../src/daemon/team/sealedSecret.ts"
import { publicKeyOf, signingKey, signText } from "../../../src/daemon/team/signatures.ts"
import { storedSecret } from "../../support/storedSecret.ts"

const secret = (name: string) => storedSecret(name, `made-up value of ${name}`)

const makeMachine = Effect.fnUntraced(function* (name: string) {
  const key = yield* generateKey
  const signing = signingKey(createHash("sha256").update(name).digest())
  return { name, key, signing, keys: { machine: name, recipient: key.recipient, key: publicKeyOf(signing) } }
})

const setup = Effect.gen(function* () {
  const [m1, m2, other, paper] = yield* Effect.all([
    makeMachine("m1"),
    makeMachine("m2"),
    makeMachine("other"),
    makeMachine("paper")
  ])
  const say = (list: MemberList, said: object) => {
    const statement = nextStatement(list, "m1", said)
    return Result.getOrThrow(extendMembers(list, [{ statement, sig: signText(m1.signing, statement) }]))
  }
  const founded = say(noMembers, { do: "found", ...m1.keys, team: "t", paper: paper.key.recipient })
  const list = say(founded, { do: "add", ...m2.keys, admin: false, groups: [] })
  return { m1, m2, other, paper, list, say, by: { by: "m1", key: m1.signing, list } }
})

describe("a sealed secret", () => {
  it.effect("is opened by each machine of the list and by the paper, and by no other", () =>
    Effect.gen(function* () {
      const { by, list, m1, m2, other, paper } = yield* setup
      const row = { name: "db", escaped: "db", version: 3, sealed: yield* seal(secret("db"), "db", 3, by) }
      for (const { key } of [m1, m2, paper]) {
        const opened = Result.getOrThrow(yield* openSealed(row, key, list))
        assert.strictEqual(Redacted.value(opened.secret.value), "made-up value of db")
        assert.strictEqual(opened.recipients, recipientsHash(recipientsOf(list, "db")))
      }
      const refused = yield* openSealed(row, other.key, list)
      assert.deepStrictEqual(refused, Result.fail("it is not encrypted to this machine"))
    })
  )

  it.effect("is refused as another secret, as another version, and from who is not in the list or the group", () =>
    Effect.gen(function* () {
      const { by, list, m1, m2, other, say } = yield* setup
      const row = { name: "db", escaped: "db", version: 3, sealed: yield* seal(secret("db"), "db", 3, by) }
      const foreign = yield* seal(secret("db"), "db", 3, { by: "other", key: other.signing, list })
      const forged = yield* seal(secret("db"), "db", 3, { ...by, key: other.signing })
      const removed = say(list, { do: "remove", machine: "m2" })
      const ofRemoved = yield* seal(secret("db"), "db", 3, { by: "m2", key: m2.signing, list: removed })
      const before = yield* seal(secret("db"), "db", 3, { by: "m2", key: m2.signing, list })
      const grouped = say(list, { do: "assign", secret: "db", group: "prod" })
      const outside = yield* seal(secret("db"), "db", 3, { by: "m1", key: m1.signing, list: removed })
      const plain = new Encrypter()
      plain.addRecipient(m2.key.recipient)
      const unsigned = yield* Effect.promise(() => plain.encrypt("planted"))
      for (const [given, known, reason] of [
        [{ ...row, name: "mail" }, list, "it is another secret than the database states"],
        [{ ...row, version: 4 }, list, "it is another version than the database states"],
        [{ ...row, sealed: foreign }, list, "it is signed by a machine that is not in the team"],
        [{ ...row, sealed: forged }, list, "its signature is not that of m1"],
        [{ ...row, sealed: unsigned }, list, "its contents are not those of a team's secret"]
      ] as const) {
        assert.deepStrictEqual(yield* openSealed(given, m2.key, known), Result.fail(reason))
      }
      const openedBy = (sealed: Uint8Array, known: MemberList) => openSealed({ ...row, sealed }, m1.key, known)
      assert.deepStrictEqual(
        yield* openedBy(ofRemoved, removed),
        Result.fail("it is signed by a machine that is not in the team")
      )
      assert.isTrue(Result.isSuccess(yield* openedBy(before, removed)), "m2 was in the team when it signed")
      assert.deepStrictEqual(
        yield* openedBy(outside, list),
        Result.fail("it is sealed for a list of machines that this machine has not seen")
      )
      const ofOther = yield* seal(secret("db"), "db", 3, {
        by: "m2",
        key: m2.signing,
        list: { ...grouped, paper: m1.key.recipient }
      })
      assert.deepStrictEqual(
        yield* openedBy(ofOther, grouped),
        Result.fail("m2, which signed it, is not in the group prod")
      )
    })
  )
})
