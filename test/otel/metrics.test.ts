/**
 * The metrics. They belong to the process, so each test resets them first.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { revokeAllLeases, revokeLease } from "../../src/daemon/operations/revoke.ts"
import { deleteSecret } from "../../src/daemon/operations/deleteSecret.ts"
import { LeaseRepo } from "../../src/daemon/leases/LeaseRepo.ts"
import { everything } from "../../src/daemon/leases/LeaseScope.ts"
import type { LeaseTransaction } from "../../src/daemon/leases/LeaseTransaction.ts"
import { revokeRefusedFact } from "../../src/domain/leaseFacts.ts"
import { sampleGauges } from "../../src/daemon/lifecycle/watches.ts"
import { sweepExpired } from "../../src/daemon/operations/sweep.ts"
import { OtelSink } from "../../src/otel/OtelSink.ts"
import {
  instruments,
  prometheusName,
  prometheusText,
  resetMetrics,
  setActiveLeases,
  startMetrics
} from "../../src/otel/metrics.ts"
import { addSecret, acquireLease, testLayer, testLayerWithAudit } from "../support/testLayer.ts"

const withFreshMetrics = <A, E, R>(test: Effect.Effect<A, E, R>) => Effect.andThen(resetMetrics, test)

/** The values of all series, by name and labels. */
const readMetrics = Effect.map(
  prometheusText,
  (text) =>
    new Map(
      text
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"))
        .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))] as const)
    )
)

const lease = (what: string) => `agent_secrets_lease_${what}_total`

describe("metrics", () => {
  it.effect("count each lease that is issued, and how it ends", () =>
    Effect.gen(function* () {
      yield* startMetrics(1_700_000_000_000)
      for (const name of ["a", "b", "c"]) yield* addSecret(name)
      const { lease: first } = yield* acquireLease("a", "x")
      yield* acquireLease("a", "y")
      yield* acquireLease("a", "y")
      yield* acquireLease("b", "x")
      yield* acquireLease("b", "y")
      yield* acquireLease("c", "x")
      yield* revokeLease(first.id)
      yield* revokeLease(first.id)
      yield* deleteSecret("b")
      const before = yield* readMetrics
      assert.deepStrictEqual(
        ["acquires", "replacements", "revocations", "expiries"].map((what) => before.get(lease(what))),
        [6, 1, 3, 0]
      )
      assert.strictEqual(before.get("agent_secrets_lease_acquire_duration_seconds_count"), 6)
      assert.strictEqual(before.get("process_start_time_seconds"), 1_700_000_000)
      yield* TestClock.adjust("59 minutes")
      yield* acquireLease("a", "late")
      yield* TestClock.adjust("2 minutes")
      yield* sweepExpired()
      yield* revokeAllLeases()
      const after = yield* readMetrics
      assert.deepStrictEqual([after.get(lease("expiries")), after.get(lease("revocations"))], [2, 4])
    }).pipe(Effect.provide(testLayer()), withFreshMetrics)
  )

  it.effect("do not count what the audit log rejects", () => {
    const broken = { now: false }
    return Effect.gen(function* () {
      yield* startMetrics(0)
      yield* addSecret("a")
      const { lease: held } = yield* acquireLease("a", "x")
      broken.now = true
      yield* Effect.flip(acquireLease("a", "x"))
      yield* Effect.flip(revokeLease(held.id))
      const now = yield* readMetrics
      assert.deepStrictEqual(
        ["acquires", "replacements", "revocations"].map((what) => now.get(lease(what))),
        [1, 0, 0]
      )
    }).pipe(Effect.provide(testLayerWithAudit(broken)), withFreshMetrics)
  })

  it.effect("do not count a failed transaction", () =>
    Effect.gen(function* () {
      yield* startMetrics(0)
      yield* addSecret("a")
      const { lease: held } = yield* acquireLease("a", "x")
      const program = (leases: LeaseTransaction) => {
        leases.revoke(held)
        leases.record(revokeRefusedFact(held.id))
        return Result.fail("changed its mind")
      }
      yield* Effect.flip(LeaseRepo.use((leases) => leases.transaction(everything, program)))
      assert.strictEqual((yield* readMetrics).get(lease("revocations")), 0)
    }).pipe(Effect.provide(testLayer()), withFreshMetrics)
  )

  it.effect("report the active leases of each secret", () =>
    Effect.gen(function* () {
      for (const name of ["a", "b"]) yield* addSecret(name)
      for (const client of ["x", "y"]) yield* acquireLease("a", client)
      yield* acquireLease("b", "x")
      yield* sampleGauges
      const before = yield* readMetrics
      assert.strictEqual(before.get('agent_secrets_lease_active{secret_name="a"}'), 2)
      assert.strictEqual(before.get('agent_secrets_lease_active{secret_name="b"}'), 1)
      yield* deleteSecret("a")
      yield* sampleGauges
      const after = yield* readMetrics
      assert.isFalse(after.has('agent_secrets_lease_active{secret_name="a"}'))
      assert.strictEqual(after.get('agent_secrets_lease_active{secret_name="b"}'), 1)
    }).pipe(Effect.provide(testLayer()), withFreshMetrics)
  )

  it.effect("report the queue of each receiver, also when it shrinks, and the dropped events", () => {
    const sink = { queued: [7, 3], dropped: 5 }
    const busy = Layer.succeed(OtelSink, {
      emit: () => Effect.void,
      dropped: Effect.sync(() => sink.dropped),
      state: Effect.sync(() =>
        (["joelclaw", "otlp"] as const).map((kind, n) => ({
          kind,
          target: "somewhere",
          sent: 0,
          dropped: 0,
          queued: sink.queued[n] ?? 0,
          lastFailure: undefined
        }))
      )
    })
    const sampled = Effect.map(Effect.andThen(sampleGauges, readMetrics), (now) => [
      now.get('agent_secrets_sink_queue_size{sink="joelclaw"}'),
      now.get('agent_secrets_sink_queue_size{sink="otlp"}'),
      now.get("agent_secrets_sink_dropped_total")
    ])
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* sampled, [7, 3, 5])
      Object.assign(sink, { queued: [0, 1], dropped: 6 })
      assert.deepStrictEqual(yield* sampled, [0, 1, 6])
      assert.deepStrictEqual(yield* sampled, [0, 1, 6])
    }).pipe(Effect.provide(Layer.merge(testLayer(), busy)), withFreshMetrics)
  })

  it.effect("have series for a hundred secrets and one for the others, which sum up to all leases", () =>
    Effect.gen(function* () {
      const bySecret = Array.from({ length: 1000 }, (_, n) => [`secret ${n}`, n + 1] as const)
      const total = bySecret.reduce((sum, [, count]) => sum + count, 0)
      yield* setActiveLeases(bySecret, total)
      // In reverse order; the registry does not grow.
      yield* setActiveLeases(
        bySecret.map(([name, count]) => [name, 1001 - count] as const),
        total
      )
      const shown = [...(yield* readMetrics)].filter(([name]) => name.startsWith("agent_secrets_lease_active"))
      assert.lengthOf(shown, 101)
      assert.strictEqual(
        shown.reduce((sum, [, count]) => sum + count, 0),
        total
      )
      assert.strictEqual(new Map(shown).get('agent_secrets_lease_active{secret_name="secret 0"}'), 1000)
    }).pipe(withFreshMetrics)
  )

  it("have unique names that follow the conventions", () => {
    const names = instruments.map(({ name }) => name)
    assert.strictEqual(new Set(names).size, names.length)
    for (const name of names) assert.match(name, /^(agent_secrets|process)(\.[a-z_]+)+$/)
    assert.strictEqual(prometheusName("agent_secrets.lease.acquires"), "agent_secrets.lease.acquires_total")
    assert.strictEqual(prometheusName("process.start_time"), "process.start_time_seconds")
  })
})
