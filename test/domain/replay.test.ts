/**
 * Replaying the audit log restores the active leases, from any checkpoint and more than
 * once. The predecessor's entries, which have no expiry, add nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Audit from "../../src/domain/AuditEntry.ts"
import { startFact } from "../../src/domain/daemonFacts.ts"
import {
  acquireFact,
  adoptFacts,
  expireFact,
  replaceFact,
  revokeAllFacts,
  revokeFact,
  revokeRefusedFact,
  revokeSecretFact
} from "../../src/domain/leaseFacts.ts"
import { addFact, deleteFact } from "../../src/domain/storeFacts.ts"
import { hour } from "../../src/domain/GoDuration.ts"
import type { Lease } from "../../src/domain/Lease.ts"
import { makeLease } from "../../src/domain/Lease.ts"
import { replay } from "../../src/domain/replay.ts"

const now = Date.parse("2026-11-22T08:30:37.780Z")
const lease = (id: string, secretName = "db", clientId = "worker"): Lease =>
  makeLease({ id, secretName, clientId, now, ttl: hour + 1n })

/** The entries as they would be in the log, written at `now`. */
const entriesOf = (...facts: ReadonlyArray<Audit.AuditFact>): ReadonlyArray<Audit.AuditEntry> =>
  facts.map((fact) => Option.getOrThrow(Audit.decodeEntry(Audit.encodeEntry(fact, lease("").createdAt))))

const acquired = (one: Lease) => acquireFact(one, hour)
const one = lease("one")
const two = lease("two", "mail")
const three = lease("three", "db", "other worker")

describe("replay", () => {
  it("restores adopted leases with the time when they were issued", () => {
    const older = makeLease({ id: "older", secretName: "db", clientId: "worker", now: now - 1000, ttl: hour })
    assert.deepStrictEqual(replay([], entriesOf(...adoptFacts([older, one]))), [one, older])
  })

  it("restores acquired leases, to the nanosecond", () => {
    assert.deepStrictEqual(replay([], entriesOf(acquired(one), acquired(two))), [one, two])
  })

  it.each([
    ["replaced", replaceFact(one, two, hour)],
    ["revoked", revokeFact(one)],
    ["expired", expireFact(one)]
  ])("forgets a lease that was %s, and no other", (_, end) => {
    assert.deepStrictEqual(replay([one, two, three], entriesOf(end)), [two, three])
  })

  it("ends all leases of a secret that were revoked with it", () => {
    assert.deepStrictEqual(replay([one, two, three], entriesOf(revokeSecretFact("db", 2))), [two])
  })

  it("ends all leases at the killswitch, and keeps later ones", () => {
    assert.deepStrictEqual(replay([one, two], entriesOf(...revokeAllFacts(2), acquired(three))), [three])
  })

  it.each<readonly [string, Audit.AuditFact]>([
    ["a refused revoke", revokeRefusedFact("one")],
    ["a refused acquire", { ...acquired(lease("four")), success: false }],
    ["a killswitch that failed", { ...revokeAllFacts(1)[0], success: false }],
    ["a revoke of a secret that failed", { ...revokeSecretFact("db", 1), success: false }],
    ["the end of a lease that is not there", expireFact(lease("four"))],
    ["the end of no lease", { action: "lease_expire", success: true }],
    ["a secret that was added", addFact("db")],
    ["a secret that was deleted", deleteFact("db")],
    ["a start", startFact("/run/socket")],
    ["an action of others", { action: "daemon_restart", lease_id: "one", success: true }]
  ])("changes nothing for %s", (_, fact) => {
    assert.deepStrictEqual(replay([one, two, three], entriesOf(fact)), [one, two, three])
  })

  it.each(["expires_at", "lease_id", "secret_name", "client_id"] as const)(
    "restores no lease from an acquire without %s",
    (member) => {
      const { [member]: _, ...entry } = entriesOf(acquired(two))[0] ?? {}
      assert.deepStrictEqual(replay([one], [entry as Audit.AuditEntry]), [one])
    }
  )

  it.each(["expires_at", "timestamp"])("restores no lease from an acquire with an invalid %s", (member) => {
    const entries = entriesOf(acquired(two)).map((entry) => ({ ...entry, [member]: "soon" }))
    assert.deepStrictEqual(replay([one], entries), [one])
  })
})

const byId = (leases: ReadonlyArray<Lease>) => leases.toSorted((a, b) => (a.id < b.id ? -1 : 1))

describe("a log", () => {
  const Step = Schema.Struct({
    kind: Schema.Literals(["acquire", "acquire", "acquire", "replace", "revoke", "expire", "secret", "all"]),
    id: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 7 }))
  })
  const Log = Schema.Array(Step).check(Schema.isMaxLength(30))
  const Place = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 }))

  /** Eight leases of two secrets; `held` is the expected result, computed naively. */
  const pool = Array.from({ length: 8 }, (_, id) => lease(`lease-${id}`, id % 2 === 0 ? "db" : "mail"))
  const run = (steps: typeof Log.Type) => {
    let held: ReadonlyArray<Lease> = []
    const entries = steps.flatMap(({ kind, id }) => {
      const one = pool[id] ?? lease("")
      const others = held.filter((other) => other.id !== one.id)
      const elsewhere = held.filter((other) => other.secretName !== one.secretName)
      held = kind === "acquire" ? [...others, one] : kind === "all" ? [] : kind === "secret" ? elsewhere : others
      if (kind === "acquire") return entriesOf(acquired(one))
      if (kind === "replace") return entriesOf(replaceFact(one, one, hour))
      if (kind === "revoke") return entriesOf(revokeFact(one))
      if (kind === "expire") return entriesOf(expireFact(one))
      return entriesOf(...(kind === "all" ? revokeAllFacts(0) : [revokeSecretFact(one.secretName, 0)]))
    })
    return { held: byId(held), entries }
  }

  it.prop("restores the leases that were active when it was written", [Log], ([steps]) => {
    const { held, entries } = run(steps)
    assert.deepStrictEqual(byId(replay([], entries)), held)
  })

  it.prop("may be replayed from any checkpoint", [Log, Place], ([steps, place]) => {
    const { held, entries } = run(steps)
    const checkpoint = replay([], entries.slice(0, place))
    assert.deepStrictEqual(byId(replay(checkpoint, entries.slice(place))), held)
  })

  it.prop("may be replayed over leases that it contains", [Log, Place], ([steps, place]) => {
    const { held, entries } = run(steps)
    assert.deepStrictEqual(byId(replay(replay([], entries), entries.slice(place))), held)
    assert.deepStrictEqual(byId(replay(replay([], entries), entries)), held)
  })
})
