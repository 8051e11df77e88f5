/**
 * What every layer of `LeaseRepo` guarantees.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { everything } from "../../../src/daemon/leases/LeaseScope.ts"
import {
  acquireFact,
  expireFact,
  revokeAllFacts,
  revokeFact,
  revokeRefusedFact
} from "../../../src/domain/leaseFacts.ts"
import { hour, second } from "../../../src/domain/GoDuration.ts"
import { makeLease } from "../../../src/domain/Lease.ts"

/** What a layer needs of the suite. */
interface SuiteOptions {
  /** Turns the name of a lease into its id. */
  readonly idOf?: (name: string) => string
  /** Moves the clock of the layer. */
  readonly adjust?: (millis: number) => Effect.Effect<void>
}

export const lease = (id: string, pair: { secret?: string; client?: string; ttl?: bigint; now?: number } = {}) =>
  makeLease({
    id,
    secretName: pair.secret ?? "db",
    clientId: pair.client ?? "worker",
    ttl: pair.ttl ?? hour,
    now: pair.now ?? 0
  })

export const issue = (...issued: ReadonlyArray<ReturnType<typeof lease>>) =>
  LeaseRepo.use((leases) =>
    leases.transaction(everything, (tx) => {
      for (const one of issued) tx.issue(one, acquireFact(one, hour))
      return Result.void
    })
  )

export const activeIds = LeaseRepo.use((leases) =>
  leases.transaction(everything, (tx) =>
    Result.succeed(
      tx
        .active()
        .map(({ id }) => id)
        .toSorted()
    )
  )
)

const actions = Effect.map(
  AuditLog.use((audit) => audit.tail(100)),
  (entries) => entries.map(({ action, lease_id, success }) => `${action} ${lease_id} ${success}`)
)

export const leaseRepoSuite = <E>(
  name: string,
  layer: Layer.Layer<LeaseRepo | AuditLog, E>,
  { adjust = (millis) => TestClock.adjust(millis), idOf = (given) => given }: SuiteOptions = {}
) =>
  describe(`LeaseRepo ${name}`, () => {
    const leaseOf = (given: string, pair?: Parameters<typeof lease>[1]) => lease(idOf(given), pair)

    it.effect("finds issued leases by pair, by secret and by id", () =>
      Effect.gen(function* () {
        const [a, b, c] = [leaseOf("a"), leaseOf("b", { client: "other" }), leaseOf("c", { secret: "mail" })]
        yield* issue(a, b, c)
        const leases = yield* LeaseRepo
        yield* leases.transaction(everything, (tx) => {
          assert.deepStrictEqual(tx.ofPair("db", "worker"), [a])
          assert.deepStrictEqual(tx.ofSecret("db"), [a, b])
          assert.deepStrictEqual(tx.find(idOf("c")), c)
          assert.isUndefined(tx.find(idOf("d")))
          assert.deepStrictEqual(tx.withPrefix(idOf("b")), [b])
          assert.deepStrictEqual(tx.withPrefix(idOf("d")), [])
          return Result.void
        })
        assert.strictEqual(yield* leases.activeCount, 3)
        assert.strictEqual(yield* leases.activeCountOfSecret("db"), 2)
      }).pipe(Effect.provide(layer))
    )

    it.effect("undoes the changes of a failed program and keeps the facts it recorded", () =>
      Effect.gen(function* () {
        const [a, b] = [leaseOf("a"), leaseOf("b")]
        yield* issue(a)
        const leases = yield* LeaseRepo
        const failure = yield* Effect.flip(
          leases.transaction(everything, (tx) => {
            tx.end(a, revokeFact(a))
            tx.issue(b, acquireFact(b, hour))
            tx.record(revokeRefusedFact("x"))
            return Result.fail("no")
          })
        )
        assert.strictEqual(failure, "no")
        assert.deepStrictEqual(yield* activeIds, [idOf("a")])
        assert.deepStrictEqual(yield* actions, [`lease_acquire ${idOf("a")} true`, "lease_revoke x false"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("survives a program that throws, and changes nothing", () =>
      Effect.gen(function* () {
        const leases = yield* LeaseRepo
        const exit = yield* Effect.exit(
          leases.transaction(everything, (tx) => {
            tx.issue(leaseOf("a"))
            throw new Error("a bug")
          })
        )
        assert.strictEqual(exit._tag, "Failure")
        yield* issue(leaseOf("b"))
        assert.deepStrictEqual(yield* activeIds, [idOf("b")])
      }).pipe(Effect.provide(layer))
    )

    it.effect("runs programs one after the other, in their order of arrival", () =>
      Effect.gen(function* () {
        const leases = yield* LeaseRepo
        const order: Array<number> = []
        const program = (n: number) => leases.transaction(everything, () => Result.succeed(order.push(n)))
        const fibers = yield* Effect.forEach([0, 1, 2], (n) => Effect.forkChild(program(n), { startImmediately: true }))
        assert.deepStrictEqual(order, [])
        yield* Effect.forEach(fibers, Fiber.join)
        assert.deepStrictEqual(order, [0, 1, 2])
      }).pipe(Effect.provide(layer))
    )

    it.effect("does not count expired leases, and frees them when their expiry is recorded", () =>
      Effect.gen(function* () {
        const short = leaseOf("short", { ttl: second })
        yield* issue(short, leaseOf("long", { client: "other" }))
        yield* adjust(1001)
        const leases = yield* LeaseRepo
        assert.strictEqual(yield* leases.activeCount, 1)
        assert.strictEqual(yield* leases.activeCountOfSecret("db"), 1)
        const due = yield* leases.transaction(everything, (tx) => {
          const found = tx.expired(10)
          for (const one of found) tx.end(one, expireFact(one))
          return Result.succeed(found)
        })
        assert.deepStrictEqual(due, [short])
        yield* leases.transaction(everything, (tx) => {
          assert.isUndefined(tx.find(idOf("short")))
          assert.deepStrictEqual(tx.expired(10), [])
          return Result.void
        })
      }).pipe(Effect.provide(layer))
    )

    it.effect("gives a pair a new lease when its old one has expired, swept or not", () =>
      Effect.gen(function* () {
        yield* issue(leaseOf("a", { ttl: second }))
        yield* adjust(1001)
        const leases = yield* LeaseRepo
        yield* leases.transaction({ _tag: "Pair", secretName: "db", clientId: "worker" }, (tx) => {
          assert.deepStrictEqual(tx.ofPair("db", "worker"), [])
          return Result.succeed(tx.issue(leaseOf("b", { now: tx.now }), acquireFact(leaseOf("b"), hour)))
        })
        assert.deepStrictEqual(yield* activeIds, [idOf("b")])
        assert.strictEqual(yield* leases.activeCount, 1)
      }).pipe(Effect.provide(layer))
    )

    it.effect("revokes every active lease, and returns their number", () =>
      Effect.gen(function* () {
        yield* issue(leaseOf("a"), leaseOf("b", { client: "other" }), leaseOf("c", { secret: "mail", ttl: second }))
        yield* adjust(1001)
        const leases = yield* LeaseRepo
        const revoked = yield* leases.transaction({ _tag: "All" }, (tx) => {
          const count = tx.revokeActive()
          tx.record(...revokeAllFacts(count))
          return Result.succeed(count)
        })
        assert.strictEqual(revoked, 2)
        assert.deepStrictEqual(yield* activeIds, [])
        yield* leases.transaction({ _tag: "Leases", ids: [idOf("a")] }, (tx) => {
          assert.deepStrictEqual(tx.findRevoked(idOf("a")), leaseOf("a"))
          return Result.void
        })
      }).pipe(Effect.provide(layer))
    )

    it.effect("finds a revoked lease, but not a replaced one", () =>
      Effect.gen(function* () {
        const [a, b] = [leaseOf("a"), leaseOf("b", { client: "other" })]
        yield* issue(a, b)
        const leases = yield* LeaseRepo
        yield* leases.transaction(everything, (tx) => {
          tx.revoke(a, revokeFact(a))
          tx.end(b, revokeFact(b))
          return Result.void
        })
        yield* leases.transaction({ _tag: "Leases", ids: [idOf("a"), idOf("b")] }, (tx) => {
          assert.deepStrictEqual(tx.findRevoked(idOf("a")), a)
          assert.isUndefined(tx.findRevoked(idOf("b")))
          return Result.void
        })
        assert.strictEqual(yield* leases.activeCount, 0)
      }).pipe(Effect.provide(layer))
    )
  })
