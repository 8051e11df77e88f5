/**
 * What the entries of the log mean for programs that run, and when: a change of the store counts
 * once it is written.
 */
import { assert, describe, it } from "@effect/vitest"
import { startFact } from "../../src/domain/daemonFacts.ts"
import {
  expireFact,
  releaseFact,
  revokeAllFacts,
  revokeFact,
  revokeMatchingFact,
  revokeSecretFact
} from "../../src/domain/leaseFacts.ts"
import {
  addFact,
  changeFailedFact,
  deleteFact,
  lockFact,
  rotateFact,
  updateFact,
  wipeFact,
  wipeFailedFact,
  withStore
} from "../../src/domain/storeFacts.ts"
import { NoticeReader, noticeIn } from "../../src/domain/Run.ts"

const lease = { id: "1", clientId: "c", secretName: "db" }

describe("noticeIn", () => {
  it("is about the pair of a lease, the secret or all", () => {
    const pair = { clientId: "c", secretName: "db", leaseId: "1" }
    assert.deepStrictEqual(noticeIn(revokeFact(lease)), { kind: "revoked", ...pair })
    assert.deepStrictEqual(noticeIn(expireFact(lease)), { kind: "expired", ...pair })
    const asked = { clientId: "c", secretName: undefined }
    assert.deepInclude(noticeIn(revokeMatchingFact(asked, 0)), { kind: "revoked", clientId: "c" })
    assert.deepStrictEqual(noticeIn(revokeSecretFact("db", 3)), { kind: "deleted", secretName: "db" })
    assert.deepInclude(noticeIn(deleteFact("db")), { kind: "deleted", secretName: "db" })
    assert.deepInclude(noticeIn(updateFact("db")), { kind: "changed", secretName: "db" })
    assert.deepInclude(noticeIn(rotateFact("db", "exit status 0", true)), { kind: "changed", secretName: "db" })
    assert.deepStrictEqual(noticeIn(wipeFact(2)), { kind: "deleted" })
    assert.deepStrictEqual(noticeIn(lockFact), { kind: "locked" })
    for (const fact of revokeAllFacts(2)) assert.deepStrictEqual(noticeIn(fact), { kind: "killswitch" })
  })

  it("is nothing for a lease that ended with its run, a value that stayed, and a refused change", () => {
    for (const fact of [
      releaseFact(lease, "run"),
      updateFact("db", true),
      rotateFact("db", "exit status 0"),
      changeFailedFact(updateFact("db")),
      addFact("db"),
      { ...lockFact, success: false }
    ]) {
      assert.isUndefined(noticeIn(fact))
    }
  })
})

/** Reads facts one after the other, each at its index; `stored` and `rest` stand for the calls. */
const kindsOf = (
  ...steps: ReadonlyArray<Parameters<NoticeReader["next"]>[0] | { readonly stored: string } | "rest">
) => {
  const reader = new NoticeReader()
  return steps.map((step, at) => {
    const found =
      step === "rest"
        ? reader.rest()
        : "stored" in step
          ? reader.stored(step.stored)
          : reader.next(step, at, "2026-01-01T00:00:00Z")
    return found.map(({ kind, secretName, seq }) => `${kind} ${secretName ?? "all"} ${seq}`).join(", ")
  })
}
const change = withStore(updateFact("a"), "new")

describe("a change of the store", () => {
  it("counts when the store is written, and not if that fails", () => {
    assert.deepStrictEqual(kindsOf(change, revokeFact(lease), { stored: "new" }), ["", "revoked db 1", "changed a 1"])
    assert.deepStrictEqual(kindsOf(change, { stored: "old" }), ["", ""])
  })

  it("counts with all entries of its write", () => {
    const facts = [updateFact("a"), updateFact("b"), withStore(addFact("c"), "new")] as const
    assert.deepStrictEqual(kindsOf(...facts, { stored: "new" }), ["", "", "", "changed a 2, changed b 2"])
    assert.deepStrictEqual(kindsOf(...facts, { stored: "old" }), ["", "", "", ""])
  })

  it("counts in a log unless an entry after it names the store as it was before", () => {
    assert.deepStrictEqual(kindsOf(change, withStore(startFact("/s"), "new")), ["", "changed a 1"])
    assert.deepStrictEqual(kindsOf(change, withStore(startFact("/s"), "old")), ["", ""])
    assert.deepStrictEqual(kindsOf(change, withStore(changeFailedFact(updateFact("a")), "old")), ["", ""])
    assert.deepStrictEqual(kindsOf(change, withStore(deleteFact("b"), "newer")), ["", "changed a 1"])
    assert.deepStrictEqual(kindsOf(change, "rest"), ["", "changed a 0"])
    const wiped = [withStore(wipeFact(1), "new"), withStore(wipeFailedFact(wipeFact(1)), "new")] as const
    assert.deepStrictEqual(kindsOf(...wiped), ["", "deleted all 1"])
  })

  it("is no reason to read further than what is before it", () => {
    const reader = new NoticeReader(4)
    assert.strictEqual(reader.settled, 4)
    reader.next(revokeFact(lease), 5, "")
    reader.next(change, 6, "")
    reader.next(revokeFact(lease), 7, "")
    assert.strictEqual(reader.settled, 5)
    reader.stored("new")
    assert.strictEqual(reader.settled, 7)
  })
})
