/**
 * A pair of client and secret has at most one active lease, for exactly its TTL.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Redacted from "effect/Redacted"
import { TestClock } from "effect/testing"
import { acquire } from "../../../src/daemon/operations/acquire.ts"
import { CurrentCaller } from "../../../src/daemon/audit/CurrentCaller.ts"
import { describeSecret } from "../../../src/daemon/operations/describeSecret.ts"
import { CurrentPolicy } from "../../../src/daemon/operations/CurrentPolicy.ts"
import { CurrentLimits } from "../../../src/daemon/operations/leaseRules.ts"
import { defaultTtlPolicy } from "../../../src/domain/Lease.ts"
import { lockStore } from "../../../src/daemon/operations/lock.ts"
import { visibleSecrets } from "../../../src/daemon/operations/status.ts"
import { makePolicy } from "../../../src/domain/Policy.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { everything } from "../../../src/daemon/leases/LeaseScope.ts"
import { hour, millisecond, minute } from "../../../src/domain/GoDuration.ts"
import type { OtelEvent } from "../../../src/otel/OtelEvent.ts"
import {
  activeCount,
  addSecret,
  leaseEntries,
  testLayerNoTelemetry,
  acquireLease,
  testLayer,
  testLayerWithAudit
} from "../../support/testLayer.ts"

describe("acquire", () => {
  it.effect("returns the value with a lease", () =>
    Effect.gen(function* () {
      yield* addSecret("db", "open sesame")
      const { lease, value, replaced } = yield* acquireLease("db", "worker")
      assert.strictEqual(Redacted.value(value), "open sesame")
      assert.deepStrictEqual([lease.secretName, lease.clientId], ["db", "worker"])
      assert.match(lease.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.deepStrictEqual(replaced, [])
      assert.strictEqual(yield* activeCount, 1)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("ends the older lease of the pair, and emits both events in order", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const first = yield* acquireLease("db", "worker")
      const second = yield* acquireLease("db", "worker")
      assert.deepStrictEqual(second.replaced, [first.lease])
      assert.strictEqual(yield* activeCount, 1)
      const recorded = (yield* leaseEntries).map(({ action, lease_id, details }) => ({ action, lease_id, details }))
      assert.deepStrictEqual(recorded, [
        { action: "lease_acquire", lease_id: first.lease.id, details: "TTL: 1h0m0s" },
        { action: "lease_replace", lease_id: first.lease.id, details: `replaced by ${second.lease.id}, TTL: 1h0m0s` },
        { action: "lease_acquire", lease_id: second.lease.id, details: "TTL: 1h0m0s" }
      ])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("keeps the leases of other clients and other secrets", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* addSecret("mail")
      yield* acquireLease("db", "worker")
      yield* acquireLease("db", "other worker")
      yield* acquireLease("mail", "worker")
      yield* acquireLease("db", "worker")
      assert.strictEqual(yield* activeCount, 3)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("leaves one lease after twenty concurrent requests for one pair", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const taken = yield* Effect.all(
        Array.from({ length: 20 }, () => acquireLease("db", "worker")),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(yield* activeCount, 1)
      const recorded = yield* leaseEntries
      // Each replacement is between the lease it ends and the one it issues.
      const acquired = recorded.filter(({ action }) => action === "lease_acquire").map(({ lease_id }) => lease_id)
      const replaced = recorded.filter(({ action }) => action === "lease_replace").map(({ lease_id }) => lease_id)
      assert.deepStrictEqual(new Set(acquired), new Set(taken.map(({ lease }) => lease.id)))
      assert.deepStrictEqual(replaced, acquired.slice(0, -1))
      const last = yield* LeaseRepo.use((leases) => leases.transaction(everything, (tx) => Result.succeed(tx.active())))
      assert.deepStrictEqual(
        last.map(({ id }) => id),
        acquired.slice(-1)
      )
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("is active until the last millisecond of its TTL and no longer", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* acquireLease("db", "worker", 1500n * millisecond)
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(yield* activeCount, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* activeCount, 0)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("does not replace a lease that has expired", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* acquireLease("db", "worker", 10n * millisecond)
      yield* TestClock.adjust("11 millis")
      const { replaced } = yield* acquireLease("db", "worker")
      assert.deepStrictEqual(replaced, [])
      assert.deepStrictEqual(
        (yield* leaseEntries).map(({ action }) => action),
        ["lease_acquire", "lease_acquire"]
      )
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  for (const [ttl, name] of [
    [0n, "none"],
    [-5n * hour, "a negative TTL"]
  ] as const) {
    it.effect(`grants an hour for ${name}`, () =>
      Effect.gen(function* () {
        yield* addSecret("db")
        const { lease } = yield* acquireLease("db", "worker", ttl)
        assert.strictEqual(lease.expiresAt.millis - lease.createdAt.millis, 3_600_000)
      }).pipe(Effect.provide(testLayerNoTelemetry))
    )
  }

  it.effect("grants a value that the client can use, and rejects a longer one without ending the older lease", () =>
    Effect.gen(function* () {
      yield* addSecret("db", "€uros")
      const ask = (maxBytes: number) => acquire({ secretName: "db", clientId: "worker", ttl: 0n, maxBytes })
      const { lease } = yield* ask(7)
      const refusal = yield* Effect.flip(ask(6))
      assert.strictEqual(refusal.message, 'the value of secret "db" is longer than 6 bytes')
      assert.strictEqual(yield* activeCount, 1)
      const [, refused] = yield* leaseEntries
      assert.deepInclude(refused, {
        action: "lease_acquire",
        success: false,
        details: "the value is too long for the client"
      })
      assert.notStrictEqual(lease.id, "")
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("grants exactly the maximum, and rejects a nanosecond more without ending the older lease", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const { lease } = yield* acquireLease("db", "worker", 24n * hour)
      const refusal = yield* Effect.flip(acquireLease("db", "worker", 24n * hour + 1n))
      assert.strictEqual(refusal._tag, "TtlTooLong")
      assert.strictEqual(refusal.message, "invalid TTL duration")
      const last = (yield* leaseEntries).at(-1)
      assert.deepStrictEqual(
        [last?.action, last?.success, last?.details],
        ["lease_acquire", false, "TTL 24h0m0.000000001s exceeds max 24h0m0s"]
      )
      const held = yield* LeaseRepo.use((leases) =>
        leases.transaction(everything, (all) => Result.succeed(all.active()))
      )
      assert.deepStrictEqual(held, [lease])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("rejects an unknown secret by name", () =>
    Effect.gen(function* () {
      const refusal = yield* Effect.flip(acquireLease("nope", "worker"))
      assert.strictEqual(refusal._tag, "SecretNotFound")
      assert.strictEqual(refusal.message, 'secret "nope": secret not found')
      assert.strictEqual(yield* activeCount, 0)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("rejects a lease beyond the limit, but not a replacement", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const limits = { ttl: defaultTtlPolicy, maxActiveLeases: 2 }
      const takeOfTwo = (clientId: string) => Effect.provideService(acquireLease("db", clientId), CurrentLimits, limits)
      yield* takeOfTwo("a")
      yield* takeOfTwo("b")
      yield* takeOfTwo("a")
      const refusal = yield* Effect.flip(takeOfTwo("c"))
      assert.strictEqual(refusal.message, "there are too many active leases; at most 2 are kept (max_active_leases)")
      assert.strictEqual((yield* leaseEntries).at(-1)?.details, "too many active leases")
      yield* TestClock.adjust("3600001 millis")
      // A long client id has more weight, because it takes more memory.
      yield* takeOfTwo("x".repeat(512))
      assert.strictEqual((yield* Effect.flip(takeOfTwo("c")))._tag, "TooManyLeases")
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("returns no value and changes nothing if the audit log cannot be written", () => {
    const broken = { now: false }
    return Effect.gen(function* () {
      yield* addSecret("db")
      const { lease } = yield* acquireLease("db", "worker")
      broken.now = true
      const refusal = yield* Effect.flip(acquireLease("db", "worker"))
      assert.strictEqual(refusal._tag, "AuditLogError")
      broken.now = false
      const held = yield* LeaseRepo.use((leases) =>
        leases.transaction(everything, (all) => Result.succeed(all.active()))
      )
      assert.deepStrictEqual(held, [lease])
    }).pipe(Effect.provide(testLayerWithAudit(broken)))
  })

  it.effect("emits the replacement at info and the acquisition at debug, without the value", () => {
    const events: Array<OtelEvent> = []
    return Effect.gen(function* () {
      yield* addSecret("db", "open sesame")
      const first = yield* acquireLease("db", "worker")
      const second = yield* acquireLease("db", "worker")
      assert.deepStrictEqual(
        events.map(({ action, level }) => [action, level]),
        [
          ["lease.acquired", "debug"],
          ["lease.replaced", "info"],
          ["lease.acquired", "debug"]
        ]
      )
      assert.deepStrictEqual(events[1]?.metadata, {
        leaseId: second.lease.id,
        replacedLeaseId: first.lease.id,
        secretName: "db",
        clientId: "worker",
        ttlSeconds: 3600,
        durationMs: 0
      })
      assert.notInclude(JSON.stringify(events), "open sesame")
    }).pipe(Effect.provide(testLayer(events)))
  })
})

describe("acquire under a policy", () => {
  const rule = {
    secrets: ["*"],
    clients: undefined,
    via: undefined,
    maxTtl: undefined,
    commands: undefined,
    approval: undefined,
    reason: false
  }
  const policy = makePolicy([
    {
      secrets: ["db"],
      clients: ["ci"],
      via: ["exec"],
      maxTtl: 15n * minute,
      commands: ["npm"],
      approval: undefined,
      reason: true
    }
  ])
  const said = { via: "exec", program: "/usr/bin/npm", session: "s-1", reason: "release 12" }
  const ask = (clientId: string, origin = {}, ttl = 0n, secretName = "db") =>
    Effect.result(acquire({ secretName, clientId, ttl, origin }))
  const tagOf = (result: Result.Result<unknown, { readonly _tag: string }>) =>
    Result.isFailure(result) ? result.failure._tag : "leased"

  it.effect("shortens a TTL that the client does not insist on", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const request = { secretName: "db", clientId: "ci", origin: said, shorten: true }
      for (const [ttl, granted] of [
        [hour, 15n * minute],
        [25n * hour, 15n * minute],
        [minute, minute]
      ] as const) {
        const { lease } = yield* acquire({ ...request, ttl })
        assert.strictEqual(lease.expiresAt.millis - lease.createdAt.millis, Number(granted / 1_000_000n))
      }
    }).pipe(Effect.provideService(CurrentPolicy, { get: () => policy }), Effect.provide(testLayerNoTelemetry))
  )

  it.effect("leases as the rule says, and records what the client said", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      assert.strictEqual(tagOf(yield* ask("ci", said)), "leased")
      assert.strictEqual(tagOf(yield* ask("ci", said, hour)), "PolicyDenied")
      assert.strictEqual(tagOf(yield* ask("ci", said, 25n * hour)), "TtlTooLong")
      assert.strictEqual(tagOf(yield* ask("ci")), "PolicyDenied")
      assert.strictEqual(tagOf(yield* ask("ci", { ...said, program: "sh" })), "PolicyDenied")
      assert.strictEqual(tagOf(yield* ask("ci", { via: "exec", program: "npm" })), "PolicyDenied")
      assert.strictEqual(yield* activeCount, 1)
      const recorded = (yield* leaseEntries).map(({ details, success, via, program, session, reason }) => [
        success,
        details,
        ...[via, program, session, reason].filter((one) => one !== undefined)
      ])
      assert.deepStrictEqual(recorded, [
        [true, "TTL: 15m0s", "exec", "npm", "s-1", "release 12"],
        [false, "policy rule 1: max_ttl", "exec", "npm", "s-1", "release 12"],
        [false, "TTL 25h0m0s exceeds max 15m0s", "exec", "npm", "s-1", "release 12"],
        [false, "policy rule 1: via"],
        [false, "policy rule 1: commands", "exec", "sh", "s-1", "release 12"],
        [false, "policy rule 1: reason", "exec", "npm"]
      ])
    }).pipe(Effect.provideService(CurrentPolicy, { get: () => policy }), Effect.provide(testLayerNoTelemetry))
  )

  it.effect("answers for a hidden secret as for one that does not exist", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const [hidden, missing] = [yield* ask("other", said), yield* ask("other", said, 0n, "nothing")]
      const messageOf = (result: typeof hidden) => (Result.isFailure(result) ? result.failure.message : "leased")
      assert.strictEqual(messageOf(hidden), messageOf(missing).replace("nothing", "db"))
      assert.strictEqual(messageOf(hidden), 'secret "db": secret not found')
      const names = (clientId: string) => Effect.map(visibleSecrets(clientId), (all) => all.map(({ name }) => name))
      assert.deepStrictEqual(yield* names("other"), [])
      assert.deepStrictEqual(yield* names("ci"), ["db"])
      const every = yield* visibleSecrets("other", true)
      assert.deepStrictEqual(
        every.map(({ name }) => name),
        ["db"]
      )
    }).pipe(Effect.provideService(CurrentPolicy, { get: () => policy }), Effect.provide(testLayerNoTelemetry))
  )

  it.effect("asks for a limited socket by its prefix if the client names no id", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const names = (clientId: string, every: boolean) =>
        Effect.map(visibleSecrets(clientId, every), (all) => all.length)
      assert.deepStrictEqual([yield* names("", false), yield* names("", true)], [0, 0])
      assert.strictEqual((yield* Effect.flip(describeSecret("db", "")))._tag, "SecretNotFound")
    }).pipe(
      Effect.provideService(CurrentCaller, {
        role: "lease",
        socket: "w",
        scope: { permits: () => true, clientPrefix: "agents/" }
      }),
      Effect.provideService(CurrentPolicy, {
        get: () => makePolicy([{ ...rule, clients: ["agents/*"], via: [] }, rule])
      }),
      Effect.provide(testLayerNoTelemetry)
    )
  )

  it.effect("says that the store is locked, of hidden secrets as well", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* lockStore()
      for (const name of ["db", "nothing"])
        assert.strictEqual(tagOf(yield* ask("other", said, 0n, name)), "StoreLocked")
    }).pipe(Effect.provideService(CurrentPolicy, { get: () => policy }), Effect.provide(testLayerNoTelemetry))
  )
})
