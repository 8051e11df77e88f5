/**
 * After any sequence of commands (issue, end, revoke, expire, undo) the table holds the
 * same leases as a plain array.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { LeaseTable } from "../../../src/daemon/leases/LeaseTable.ts"
import { millisecond } from "../../../src/domain/GoDuration.ts"
import { type Lease, makeLease } from "../../../src/domain/Lease.ts"

const start = Date.parse("2026-11-22T08:30:37.780Z")
const lease = (id: string, lasts: number, secretName = "db", clientId = "worker", now = start): Lease =>
  makeLease({ id, secretName, clientId, now, ttl: BigInt(lasts) * millisecond })
const ids = (leases: Iterable<Lease>): ReadonlyArray<string> => [...leases].map(({ id }) => id).toSorted()

const collectGarbage = (): void => {
  v8.setFlagsFromString("--expose-gc")
  vm.runInNewContext("gc")()
}

const secrets = ["db", "mail"]
const clients = ["worker", "agent", "other"]

/** The table as a plain array: slow and simple. */
class Model {
  held: ReadonlyArray<Lease> = []
  revoked: ReadonlyArray<Lease> = []

  insert(lease: Lease): void {
    this.held = [...this.held, lease]
    this.revoked = this.revoked.filter((one) => one !== lease)
  }
  remove(lease: Lease): boolean {
    const found = this.held.includes(lease)
    this.held = this.held.filter((one) => one !== lease)
    return found
  }
  revoke(lease: Lease): boolean {
    const found = this.remove(lease)
    if (found) this.revoked = [...this.revoked, lease]
    return found
  }
  active(now: number): ReadonlyArray<Lease> {
    return this.held.filter((one) => now <= one.expiresAt.millis)
  }
}

const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))
const Command = Schema.Struct({
  do: Schema.Literals(["insert", "insert", "burst", "remove", "revoke", "clear", "undo", "undo all", "wait", "wait"]),
  which: Small,
  lasts: Small
})
const Commands = Schema.Array(Command).check(Schema.isMaxLength(40))

const compare = (table: LeaseTable, model: Model, now: number, all: ReadonlyArray<Lease>): void => {
  const active = model.active(now)
  const due = model.held.filter((one) => !active.includes(one))
  assert.strictEqual(table.count(now), active.length)
  assert.strictEqual(table.weight, active.length)
  assert.deepStrictEqual(ids(table.active(now)), ids(active))
  assert.deepStrictEqual(ids(table.expired(now, Number.POSITIVE_INFINITY)), ids(due))
  const some = table.expired(now, 2)
  assert.strictEqual(some.length, Math.min(2, due.length))
  assert.isTrue(some.every((one) => due.includes(one)))
  for (const secret of secrets) {
    const ofSecret = active.filter((one) => one.secretName === secret)
    assert.strictEqual(table.countOfSecret(secret, now), ofSecret.length)
    assert.deepStrictEqual(ids(table.ofSecret(secret, now)), ids(ofSecret))
    for (const client of clients) {
      const ofPair = ofSecret.filter((one) => one.clientId === client)
      assert.deepStrictEqual(ids(table.ofPair(secret, client, now)), ids(ofPair))
    }
  }
  for (const one of all) {
    assert.strictEqual(table.find(one.id), model.held.includes(one) ? one : undefined)
    assert.strictEqual(table.findRevoked(one.id), model.revoked.includes(one) ? one : undefined)
  }
}

describe("LeaseTable", () => {
  it.prop(
    "holds the same leases as a plain array after any commands",
    [Commands],
    ([commands]) => {
      const table = new LeaseTable()
      const model = new Model()
      const all: Array<Lease> = []
      const undos: Array<() => void> = []
      let now = start

      const insert = (which: number, lasts: number) => {
        const one = lease(`${all.length}`, lasts, secrets[which % 2], clients[which % 3], now)
        all.push(one)
        table.insert(one)
        model.insert(one)
        undos.push(() => assert.strictEqual(table.remove(one), model.remove(one)))
      }
      const end = (one: Lease | undefined, how: "remove" | "revoke") => {
        if (one === undefined) return
        const wasThere = model[how](one)
        assert.strictEqual(table[how](one), wasThere)
        if (!wasThere) return
        undos.push(() => {
          table.insert(one)
          model.insert(one)
        })
      }

      for (const { do: name, which, lasts } of commands) {
        if (name === "insert") insert(which, lasts)
        // Enough commands for the lazy cleanup to run.
        if (name === "burst") for (let more = 0; more < which * 2; more += 1) insert(which + more, lasts + (more % 7))
        if (name === "remove" || name === "revoke") end(all[(which * 7) % Math.max(1, all.length)], name)
        if (name === "clear") for (const one of table.ofSecret(secrets[which % 2] ?? "", now)) end(one, "revoke")
        if (name === "undo") undos.pop()?.()
        if (name === "undo all") for (const undo of undos.splice(0).toReversed()) undo()
        if (name === "wait") now += which
        // Not after every command, so that leases also expire between two accesses.
        if (lasts % 3 > 0) compare(table, model, now, all)
      }
      compare(table, model, now, all)
    },
    { arbitrary: { runs: 200 } }
  )

  it("keeps a lease active in its last millisecond, and no longer in the next", () => {
    const table = new LeaseTable()
    table.insert(lease("a", 1000))
    table.insert(lease("b", 1001))
    assert.deepStrictEqual(ids(table.active(start + 1000)), ["a", "b"])
    assert.deepStrictEqual(ids(table.expired(start + 1000, 10)), [])
    assert.deepStrictEqual(ids(table.active(start + 1001)), ["b"])
    assert.deepStrictEqual(ids(table.expired(start + 1001, 10)), ["a"])
  })

  it("finds an expired lease by its id until its expiry is recorded", () => {
    const table = new LeaseTable()
    const expired = lease("a", 1000)
    table.insert(expired)
    assert.strictEqual(table.count(start + 1001), 0)
    assert.strictEqual(table.find("a"), expired)
    assert.isTrue(table.remove(expired))
    assert.isUndefined(table.find("a"))
    assert.isFalse(table.remove(expired))
  })

  it("returns all leases of a pair that has several", () => {
    const table = new LeaseTable()
    for (const id of ["a", "b", "c"]) table.insert(lease(id, 1000))
    assert.deepStrictEqual(ids(table.ofPair("db", "worker", start)), ["a", "b", "c"])
  })

  it("returns lists that later changes do not alter", () => {
    const table = new LeaseTable()
    const [a, b] = [lease("a", 1000), lease("b", 1000)]
    table.insert(a)
    table.insert(b)
    const lists = [table.ofPair("db", "worker", start), table.ofSecret("db", start), table.active(start)]
    for (const one of lists[0] ?? []) table.remove(one)
    assert.deepStrictEqual(lists.map(ids), [
      ["a", "b"],
      ["a", "b"],
      ["a", "b"]
    ])
    assert.strictEqual(table.count(start), 0)
  })

  it("deactivates at most the given number of leases and returns the next expiry", () => {
    const table = new LeaseTable()
    for (let at = 0; at < 10; at += 1) table.insert(lease(`${at}`, 1000 + at))
    table.deactivateExpired(start + 1000 + 5, 3)
    assert.strictEqual(table.nextExpiry, start + 1000 + 3)
    // The count includes expired leases that are not deactivated yet.
    assert.strictEqual(table.count(start + 1000 + 5), 5)
    table.deactivateExpired(start + 2000, 100)
    assert.isUndefined(table.nextExpiry)
    assert.strictEqual(table.expiredCount(start + 2000), 10)
  })

  it("keeps the last thousand revoked leases and drops the oldest", () => {
    const table = new LeaseTable()
    for (let at = 0; at <= 1000; at += 1) {
      const one = lease(`${at}`, 1000)
      table.insert(one)
      assert.isTrue(table.revoke(one))
    }
    assert.isUndefined(table.findRevoked("0"))
    assert.strictEqual(table.findRevoked("1")?.id, "1")
    assert.strictEqual(table.findRevoked("1000")?.id, "1000")
  })

  it("frees leases whose expiry was recorded, although others always wait for it", async () => {
    const table = new LeaseTable()
    const first: Array<WeakRef<Lease>> = []
    for (let round = 0; round < 20; round += 1) {
      const now = start + round * 10
      for (let each = 0; each < 100; each += 1) {
        const one = lease(`${round}-${each}`, 1, "db", `client-${each}`, now)
        table.insert(one)
        if (round === 0) first.push(new WeakRef(one))
      }
      // All but one, so that the queue is never empty.
      for (const one of table.expired(now + 5, 99 + Math.min(round, 1))) table.remove(one)
      assert.strictEqual(table.expiredCount(now + 5), 1)
    }
    // A WeakRef keeps its target until the end of the turn.
    await new Promise(setImmediate)
    collectGarbage()
    assert.deepStrictEqual(
      first.filter((one) => one.deref() !== undefined),
      []
    )
  })
})
