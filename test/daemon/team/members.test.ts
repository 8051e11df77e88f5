/** The list of machines follows from its signed statements alone, and one that is not as its signers wrote it is rejected. */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { createHash } from "node:crypto"
import { fingerprintOf } from "../../../src/daemon/team/fingerprint.ts"
import {
  extendMembers,
  type MemberList,
  nextStatement,
  noMembers,
  readersOf,
  recipientsOf,
  viewOf
} from "../../../src/daemon/team/members.ts"
import { publicKeyOf, signingKey, signText } from "../../../src/daemon/team/signatures.ts"

const machine = (name: string) => {
  const key = signingKey(createHash("sha256").update(name).digest())
  const recipient = `age1${name.padEnd(58, "q").replaceAll(/[^a-z0-9]/g, "q")}`
  return { name, key, keys: { machine: name, recipient, key: publicKeyOf(key) } }
}
const [m1, m2, m3] = [machine("m1"), machine("m2"), machine("m3")]

const say = (list: MemberList, by: typeof m1, said: object) => {
  const statement = nextStatement(list, by.name, said)
  return { statement, sig: signText(by.key, statement) }
}
const extended = (list: MemberList, by: typeof m1, said: object) =>
  Result.getOrThrow(extendMembers(list, [say(list, by, said)]))

const paper = `age1${"p".repeat(58)}`
const founded = extended(noMembers, m1, { do: "found", ...m1.keys, team: "t", paper })
const ofTwo = extended(founded, m1, { do: "add", ...m2.keys, admin: false, groups: [] })

describe("the list of machines", () => {
  it("has who was added and not removed, and the paper among the recipients", () => {
    assert.deepStrictEqual([...viewOf(ofTwo).members.keys()], ["m1", "m2"])
    assert.deepStrictEqual(recipientsOf(ofTwo, "db"), [m1.keys.recipient, m2.keys.recipient, paper])
    const removed = extended(ofTwo, m1, { do: "remove", machine: "m2" })
    assert.deepStrictEqual(recipientsOf(removed, "db"), [m1.keys.recipient, paper])
    assert.isTrue(removed.views[2]?.members.has("m2"), "the view before stays")
    const left = extended(ofTwo, m2, { do: "remove", machine: "m2" })
    assert.deepStrictEqual([...viewOf(left).members.keys()], ["m1"])
  })

  it("lets only the machines of a group read what is assigned to it", () => {
    const assigned = extended(ofTwo, m1, { do: "assign", secret: "db", group: "prod" })
    const grouped = extended(assigned, m1, { do: "groups", machine: "m2", groups: ["prod"] })
    const names = (secret: string) => readersOf(viewOf(grouped), secret).map(({ name }) => name)
    assert.deepStrictEqual([names("db"), names("mail")], [["m2"], ["m1", "m2"]])
  })

  const tampered = say(ofTwo, m1, { do: "add", ...m3.keys, admin: false, groups: [] })
  it.each([
    [
      "another signature",
      { ...tampered, sig: signText(m2.key, tampered.statement) },
      "does not have the signature of m1"
    ],
    [
      "another recipient than the one that was signed",
      { ...tampered, statement: tampered.statement.replace(m3.keys.recipient, m2.keys.recipient) },
      "does not have the signature of m1"
    ],
    ["no signature", { ...tampered, sig: "" }, "does not have the signature of m1"],
    [
      "a signer who is not in it",
      say(ofTwo, m3, { do: "add", ...m3.keys, admin: true, groups: [] }),
      "is signed by m3, which is not in the team"
    ],
    [
      "a signer who may not",
      say(ofTwo, m2, { do: "add", ...m3.keys, admin: true, groups: [] }),
      "is signed by m2, which may not change the list"
    ],
    [
      "a member who removes another",
      say(ofTwo, m2, { do: "remove", machine: "m1" }),
      "is signed by m2, which may not change the list"
    ],
    [
      "another place",
      say(founded, m1, { do: "add", ...m3.keys, admin: false, groups: [] }),
      "does not follow the one before it"
    ],
    ["another founding", say(ofTwo, m3, { do: "found", ...m3.keys, team: "t" }), "founds another team"],
    ["a machine twice", say(ofTwo, m1, { do: "add", ...m2.keys, admin: false, groups: [] }), "adds m2 twice"],
    ["an unknown machine", say(ofTwo, m1, { do: "remove", machine: "m3" }), "names m3, which is not in the team"],
    [
      "something of a later version",
      say(ofTwo, m1, { do: "rename", machine: "m2" }),
      "is not one that this version reads"
    ]
  ])("rejects a statement with %s", (_, signed, problem) => {
    assert.deepStrictEqual(extendMembers(ofTwo, [signed]), Result.fail(`statement 3 ${problem}`))
  })

  it("rejects a list that does not begin with its founding", () => {
    const added = say(noMembers, m1, { do: "add", ...m1.keys, admin: true, groups: [] })
    assert.deepStrictEqual(extendMembers(noMembers, [added]), Result.fail("statement 1 does not found the team"))
  })
})

describe("the words of a machine", () => {
  it("are eight, and others for another name or key", () => {
    const words = fingerprintOf(m1.keys)
    assert.match(words, /^([bdfghjklmnprstvz][aiou][bdfghjklmnprstvz][aiou][bdfghjklmnprstvz] ?){8}$/)
    assert.notStrictEqual(fingerprintOf({ ...m1.keys, machine: "m2" }), words)
    assert.notStrictEqual(fingerprintOf({ ...m1.keys, key: m2.keys.key }), words)
  })
})
