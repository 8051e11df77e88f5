/**
 * The active leases become those of the log, where a start took others from a forged leases.json.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { correctLeases } from "../../../src/daemon/operations/correctLeases.ts"
import { revokeLease } from "../../../src/daemon/operations/revoke.ts"
import { type ChainedEntry, chainFacts, decodeChainedEntry, genesis, sha256 } from "../../../src/domain/AuditChain.ts"
import { acquireFact, revokeFact } from "../../../src/domain/leaseFacts.ts"
import { hour, minute } from "../../../src/domain/GoDuration.ts"
import { toRow } from "../../../src/domain/Lease.ts"
import { LeaseCheck } from "../../../src/domain/LeaseCheck.ts"
import { fromMillis } from "../../../src/domain/Timestamp.ts"
import { addSecret, testLayerNoTelemetry } from "../../support/testLayer.ts"
import { issue, lease } from "../leases/LeaseRepoSuite.ts"

const active = LeaseRepo.use((leases) =>
  Effect.map(leases.active, (all) => all.map(({ expiresAt, id }) => `${id} ${expiresAt.text}`).toSorted())
)
const entryCount = AuditLog.use((audit) => Effect.map(audit.tail(100), ({ length }) => length))

describe("leases that are not those of the log", () => {
  it.effect("are dropped, restored or get their expiry back, with one audit entry", () =>
    Effect.gen(function* () {
      const [a, forged, c, revoked] = ["a", "forged", "c", "revoked"].map((id) => lease(id, { client: id })) as [
        ReturnType<typeof lease>,
        ReturnType<typeof lease>,
        ReturnType<typeof lease>,
        ReturnType<typeof lease>
      ]
      yield* addSecret("db")
      yield* issue(lease("a", { client: "a", ttl: 24n * hour }), forged, revoked)
      yield* revokeLease("revoked")
      const corrections = { unknown: ["forged", "gone"], known: [a, c, revoked, lease("over", { ttl: -minute })] }
      yield* correctLeases(corrections)
      assert.deepStrictEqual(yield* active, ["a 1970-01-01T01:00:00Z", "c 1970-01-01T01:00:00Z"])
      const [entry] = yield* AuditLog.use((audit) => audit.tail(1))
      assert.deepInclude(entry, {
        action: "file_mended",
        details: "leases.json differed from the log: 1 lease dropped, 2 restored"
      })
      const before = yield* entryCount
      yield* correctLeases(corrections)
      assert.strictEqual(yield* entryCount, before)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("are not restored if their pair got another lease, or their secret was deleted", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* issue(lease("new"))
      yield* correctLeases({ unknown: [], known: [lease("old"), lease("deleted", { secret: "deleted" })] })
      assert.deepStrictEqual(yield* active, ["new 1970-01-01T01:00:00Z"])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})

describe("the check of leases.json", () => {
  /** The entries that issue these leases, and revoke the last. */
  const entriesOf = (...leases: ReadonlyArray<ReturnType<typeof lease>>): ReadonlyArray<ChainedEntry> => {
    const facts = [...leases.map((one) => acquireFact(one, hour)), ...leases.slice(-1).map(revokeFact)]
    const { text } = chainFacts(facts, fromMillis(0), { seq: 0, hash: genesis.hash })
    return text.split("\n").flatMap((line) => Option.toArray(decodeChainedEntry(line)))
  }
  const check = (inFile: ReadonlyArray<ReturnType<typeof lease>>, boundTo: number) => {
    const contents = Buffer.from(JSON.stringify(inFile.map(toRow)))
    const binding = { leases: sha256(contents), seq: boundTo, line: "", at: fromMillis(0).text }
    const checked = new LeaseCheck(contents, [binding], 1)
    for (const entry of entriesOf(lease("a"), lease("b"), lease("c"))) checked.add(entry)
    return checked
  }
  const idsOf = (checked: LeaseCheck) => {
    const { known, unknown } = checked.corrections()
    return [unknown, known.map(({ id }) => id)]
  }

  it("says what to change, by the whole log and not only by what the file was bound to", () => {
    const [a, b, c] = [lease("a"), lease("b"), lease("c")]
    assert.deepStrictEqual(idsOf(check([a, b, c], 3)), [[], []])
    const forged = check([lease("a", { ttl: 24n * hour }), c, lease("forged")], 3)
    assert.strictEqual(
      forged.end(),
      "leases.json has 2 leases that the log does not have and not 1 lease that the log has"
    )
    assert.deepStrictEqual(idsOf(forged), [["forged"], ["a", "b"]])
    // The lease that is missing in the file was revoked later.
    assert.deepStrictEqual(idsOf(check([a, b], 3)), [["c"], []])
  })
})
