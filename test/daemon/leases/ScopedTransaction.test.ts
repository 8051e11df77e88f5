/**
 * A program sees the leases of its scope as in any transaction, and a look outside is a defect.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import type { LeaseScope } from "../../../src/daemon/leases/LeaseScope.ts"
import { LeaseTable } from "../../../src/daemon/leases/LeaseTable.ts"
import type { LeaseTransaction } from "../../../src/daemon/leases/LeaseTransaction.ts"
import { ScopedTransaction } from "../../../src/daemon/leases/ScopedTransaction.ts"
import { second } from "../../../src/domain/GoDuration.ts"
import { lease } from "./LeaseRepoSuite.ts"

const now = 2000
const [held, due] = [lease("held"), lease("due", { client: "late", ttl: second })]

/** What a program may do, by name. */
const looks = {
  pair: (tx: LeaseTransaction) => tx.ofPair("db", "worker"),
  "another pair": (tx: LeaseTransaction) => tx.ofPair("db", "other"),
  secret: (tx: LeaseTransaction) => tx.ofSecret("db"),
  "another secret": (tx: LeaseTransaction) => tx.ofSecret("mail"),
  id: (tx: LeaseTransaction) => tx.find("held"),
  "revoked id": (tx: LeaseTransaction) => tx.findRevoked("held"),
  "another id": (tx: LeaseTransaction) => tx.find("due"),
  prefix: (tx: LeaseTransaction) => tx.withPrefix("he"),
  "another prefix": (tx: LeaseTransaction) => tx.withPrefix("h"),
  due: (tx: LeaseTransaction) => tx.expired(2),
  "more due": (tx: LeaseTransaction) => tx.expired(3),
  active: (tx: LeaseTransaction) => tx.active(),
  all: (tx: LeaseTransaction) => tx.revokeActive(),
  weight: (tx: LeaseTransaction) => tx.weight(),
  issue: (tx: LeaseTransaction) => tx.issue(lease("new")),
  "issue for another": (tx: LeaseTransaction) => tx.issue(lease("new", { secret: "mail" })),
  "end unseen": (tx: LeaseTransaction) => tx.end(held),
  "revoke unseen": (tx: LeaseTransaction) => tx.revoke(held),
  "end found": (tx: LeaseTransaction) => tx.find("held") !== undefined && tx.end(held),
  "end of pair": (tx: LeaseTransaction) => tx.ofPair("db", "worker").forEach((one) => tx.end(one)),
  "end due": (tx: LeaseTransaction) => tx.expired(2).forEach((one) => tx.end(one))
}

/** Returns what a program with this scope may do. */
const permitted = (scope: LeaseScope): ReadonlyArray<string> =>
  Object.entries(looks).flatMap(([name, look]) => {
    const table = new LeaseTable()
    for (const one of [held, due]) table.insert(one)
    const { exit } = new ScopedTransaction(table, now, scope).run((tx) => Result.succeed(look(tx)))
    return exit._tag === "Success" ? [name] : []
  })

describe("ScopedTransaction", () => {
  it("permits what its scope states, and nothing else", () => {
    const scopes: ReadonlyArray<readonly [LeaseScope, ReadonlyArray<string>]> = [
      [{ _tag: "Pair", secretName: "db", clientId: "worker" }, ["pair", "weight", "issue", "end of pair"]],
      [{ _tag: "Secret", secretName: "db" }, ["pair", "another pair", "secret", "weight", "issue", "end of pair"]],
      [{ _tag: "Leases", ids: ["held"] }, ["id", "revoked id", "weight", "end found"]],
      [{ _tag: "Leases", ids: [] }, ["weight"]],
      [{ _tag: "Prefix", prefix: "he" }, ["id", "revoked id", "prefix", "weight", "end found"]],
      [{ _tag: "Due", most: 2 }, ["due", "weight", "end due"]],
      [{ _tag: "All" }, ["all", "weight"]],
      [{ _tag: "Everything" }, Object.keys(looks)]
    ]
    for (const [scope, expected] of scopes) assert.deepStrictEqual(permitted(scope), expected, scope._tag)
  })

  it("names the scope and the look of a defect", () => {
    const tx = new ScopedTransaction(new LeaseTable(), now, { _tag: "Secret", secretName: "db" })
    assert.throws(() => tx.active(), "a transaction with the scope Secret looks at Everything")
    assert.throws(() => tx.end(held), "a transaction with the scope Secret looks at a lease without having found it")
  })
})
