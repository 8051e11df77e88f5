/** What the chains of a team show: each verdict, and the one change that leads to it. */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { createHash } from "node:crypto"
import { extendMembers, nextStatement, noMembers } from "../../../src/daemon/team/members.ts"
import { publicKeyOf, signingKey, signText } from "../../../src/daemon/team/signatures.ts"
import { TeamVerifier } from "../../../src/daemon/team/TeamVerifier.ts"
import { chainFacts, type ChainHead, genesis } from "../../../src/domain/AuditChain.ts"
import type { AuditFact } from "../../../src/domain/AuditEntry.ts"
import { auditAnchorFact } from "../../../src/domain/daemonFacts.ts"
import { acquireFact, replaceFact, revokeFact, revokeSecretFact } from "../../../src/domain/leaseFacts.ts"
import { hour } from "../../../src/domain/GoDuration.ts"
import { makeLease } from "../../../src/domain/Lease.ts"
import { fromMillis } from "../../../src/domain/Timestamp.ts"

const key = signingKey(createHash("sha256").update("m1").digest())
const recipient = `age1${"q".repeat(58)}`
const founding = nextStatement(noMembers, "m1", {
  do: "found",
  machine: "m1",
  recipient,
  key: publicKeyOf(key),
  team: "t"
})
const members = Result.getOrThrow(extendMembers(noMembers, [{ statement: founding, sig: signText(key, founding) }]))

const start = 1_800_000_000_000
const lease = (id: string) => makeLease({ id, secretName: "db", clientId: id, ttl: hour, now: start })
const acquire = (id: string) => acquireFact(lease(id), hour)

const chainOf = (facts: ReadonlyArray<AuditFact>, from: ChainHead = genesis) => {
  const { head, text } = chainFacts(facts, fromMillis(start), from)
  return { head, lines: text.trimEnd().split("\n") }
}

interface Given {
  readonly lines?: ReadonlyArray<string>
  readonly head?: ChainHead
  readonly copy?: ReadonlyArray<string>
  readonly leases?: ReadonlyArray<string>
  readonly other?: ReadonlyArray<AuditFact>
  readonly now?: number
}

const whole = chainOf([acquire("a"), acquire("b"), revokeFact(lease("b"))])
const longer = chainOf([acquire("a"), acquire("b"), revokeFact(lease("b")), acquire("c")])

const verify = ({ copy = whole.lines, head = whole.head, leases = ["a"], lines = whole.lines, now, other }: Given) => {
  const verifier = new TeamVerifier("m1", members)
  verifier.begin({ name: "m1", base: genesis, head })
  for (const line of lines) verifier.add("m1", line)
  if (other !== undefined) {
    const chain = chainOf(other)
    verifier.begin({ name: "m2", base: genesis, head: chain.head })
    for (const line of chain.lines) verifier.add("m2", line)
  }
  verifier.compareCopy(copy)
  return verifier
    .end(new Set(leases), now ?? start)
    .map(({ kind, machine, message }) => `${machine} ${kind} ${message}`)
}

const anchor = (heads: string, by = "m1") => auditAnchorFact(`${heads}; ${signText(key, `${by} anchors ${heads}`)}`)

describe("the chains of a team", () => {
  const [line1 = "", line2 = "", line3 = ""] = whole.lines
  const deleted = chainOf([
    acquire("a"),
    acquire("b"),
    revokeSecretFact("db", 2),
    revokeSecretFact("db", 0),
    acquire("c")
  ])
  const cut = chainOf([acquire("a"), acquire("b")])
  const anchored = chainOf([acquire("a"), anchor(`m2 3 ${"0".repeat(64)}`)])
  const forgedAnchor = chainOf([acquire("a"), auditAnchorFact(`m2 1 ${"0".repeat(64)}; AAAA`)])
  it.each<[string, Given, ReadonlyArray<string>]>([
    ["nothing if they are whole", {}, []],
    [
      "an edited line",
      { lines: [line1.replace('"a"', '"x"'), line2, line3], copy: [] },
      ["m1 EDITED entry 1 is not as written"]
    ],
    ["a line that is missing", { lines: [line1, line3], copy: [] }, ["m1 GAP entry 2 is missing"]],
    ["nothing if a secret was deleted while leased", { ...deleted, copy: deleted.lines, leases: ["c"] }, []],
    ["the same, where audit.log has all", { lines: [line1, line3] }, ["m1 GAP entry 2 is missing"]],
    [
      "an end that is cut off",
      { lines: cut.lines, copy: [], leases: ["a", "b"] },
      ["m1 TRUNCATED the head is entry 3, and the last entry is 2"]
    ],
    [
      "entries that the database has lost",
      { copy: longer.lines },
      ["m1 BEHIND audit.log has 1 entry more, which the database has lost"]
    ],
    [
      "another history",
      { copy: chainOf([acquire("a"), acquire("z")]).lines },
      ["m1 FORKED audit.log and the database differ at entry 2"]
    ],
    [
      "an end that another machine has seen",
      { ...anchored, copy: anchored.lines, other: [acquire("d")], leases: ["a", "d"] },
      ["m2 TRUNCATED m1 has seen entry 3, and the last entry is 1"]
    ],
    [
      "an anchor that its machine did not sign",
      { ...forgedAnchor, copy: forgedAnchor.lines, other: [acquire("d")], leases: ["a", "d"] },
      ["m1 EDITED the anchor in entry 2 does not have the signature of m1"]
    ],
    [
      "an end that no other machine has seen for long",
      { other: [acquire("d")], leases: ["a", "d"], now: start + 1_300_000 },
      [`m2 UNWITNESSED since ${fromMillis(start).text}: no other machine has seen its entries from 1 on`]
    ],
    [
      "a lease that no entry acquires",
      { leases: ["a", "e"] },
      [" STORY the lease e is there, and no entry acquires it"]
    ],
    ["a lease that no entry ends", { leases: [] }, ["m1 STORY the lease a is gone, and no entry ends it"]],
    [
      "a lease that ends twice",
      { other: [replaceFact(lease("b"), lease("c"), hour)], leases: ["a"] },
      ["m2 STORY the lease b ends twice, also by an entry of m1"]
    ]
  ])("show %s", (_, given, expected) => {
    assert.deepStrictEqual(verify(given), expected)
  })
})
