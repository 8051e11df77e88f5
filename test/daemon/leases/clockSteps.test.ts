/**
 * When the wall clock is set, no lease outlives its TTL, and none ends earlier by more
 * than the step.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { ClockStepDetector, clockStepSince } from "../../../src/daemon/leases/clockSteps.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { sweepForever } from "../../../src/daemon/operations/sweep.ts"
import { hour, minute } from "../../../src/domain/GoDuration.ts"
import { OtelSink } from "../../../src/otel/OtelSink.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import {
  activeCount,
  addSecret,
  testLayerNoTelemetry,
  acquireLease,
  testLayerWithAudit
} from "../../support/testLayer.ts"

describe("ClockStepDetector", () => {
  const day = 86_400_000
  it("reports a step back at once, and only once", () => {
    const watch = new ClockStepDetector(1_000_000, 0)
    assert.isUndefined(watch.detect(1_000_500, 500))
    assert.strictEqual(watch.detect(1_001_000 - day, 1_000)?.millis, -day)
    assert.isUndefined(watch.detect(1_002_000 - day, 2_000))
    assert.strictEqual(watch.detect(1_003_000 - 2 * day, 3_000)?.millis, -day)
  })

  it("adds small deviations up to a step", () => {
    const watch = new ClockStepDetector(1_000_000, 0)
    assert.isUndefined(watch.detect(1_009_001, 10_000))
    assert.strictEqual(watch.detect(1_018_500, 19_500)?.millis, -1_000)
  })

  it("reports a step forward of a minute or more, and the whole step back from there", () => {
    const watch = new ClockStepDetector(0, 0)
    assert.isUndefined(watch.detect(59_999, 0))
    assert.strictEqual(watch.detect(0, 0)?.millis, -59_999)
    assert.strictEqual(watch.detect(60_000, 0)?.millis, 60_000)
    assert.strictEqual(watch.detect(0, 0)?.millis, -60_000)
  })

  it("reports a forgotten step again", () => {
    const watch = new ClockStepDetector(0, 0)
    watch.detect(-5_000, 0)?.forget()
    assert.strictEqual(watch.detect(-5_000, 0)?.millis, -5_000)
  })

  it("detects a step back from the time of the last entry", () => {
    assert.deepStrictEqual([clockStepSince(10_000, 9_000), clockStepSince(10_000, 9_001)], [-1_000, undefined])
  })
})

/** Sets the wall clock back without changing the monotonic clock. */
const setBack = (to: number) => TestClock.setTime(to)

const noted = Effect.map(
  AuditLog.use((audit) => audit.tail(100)),
  (entries) =>
    entries.filter(({ action }) => action === "clock_step").map(({ details, shift_ms }) => `${details} (${shift_ms})`)
)

describe("a clock that is set back", () => {
  it.effect("does not extend a lease, and is recorded", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(100 * 3_600_000)
      yield* addSecret("db")
      yield* acquireLease("db", "worker", hour)
      yield* acquireLease("db", "short", minute)
      yield* TestClock.adjust("30 minutes")
      yield* setBack(50 * 3_600_000)
      yield* acquireLease("db", "later", hour)
      assert.deepStrictEqual(yield* noted, [
        "the clock was set back by 50h30m0s; the expiry of 1 lease was moved back by as much (-181800000)"
      ])
      assert.strictEqual(yield* activeCount, 2)
      yield* TestClock.adjust("30 minutes")
      assert.strictEqual(yield* activeCount, 2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* activeCount, 1)
      yield* TestClock.adjust("30 minutes")
      assert.strictEqual(yield* activeCount, 0)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("is detected by the sweep without any request, and the sweep continues", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(100 * 3_600_000)
      yield* addSecret("db")
      yield* acquireLease("db", "worker", minute)
      const sweeping = yield* Effect.forkChild(sweepForever)
      yield* TestClock.adjust("20 seconds")
      yield* setBack(100 * 3_600_000 + 10_000)
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* noted, [
        "the clock was set back by 10s; the expiry of 1 lease was moved back by as much (-10000)"
      ])
      yield* TestClock.adjust("35 seconds")
      const ends = (yield* AuditLog.use((audit) => audit.tail(100))).filter(({ action }) => action === "lease_expire")
      assert.strictEqual(ends.length, 1)
      yield* Fiber.interrupt(sweeping)
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("is handled again if it could not be recorded", () => {
    const broken = { now: false }
    return Effect.gen(function* () {
      yield* TestClock.setTime(100 * 3_600_000)
      yield* addSecret("db")
      yield* acquireLease("db", "worker", hour)
      yield* setBack(0)
      broken.now = true
      yield* Effect.flip(acquireLease("db", "other", hour))
      broken.now = false
      yield* acquireLease("db", "other", hour)
      assert.strictEqual((yield* noted).length, 1)
      yield* TestClock.adjust("3600001 millis")
      assert.strictEqual(yield* activeCount, 0)
    }).pipe(Effect.provide(testLayerWithAudit(broken)))
  })
})

describe("a clock that is set back, across restarts", () => {
  const inFiles = (directory: string) =>
    Layer.mergeAll(LeaseRepo.layer(path.join(directory, "leases.json")), SecretStore.layerMemory).pipe(
      Layer.provideMerge(AuditLog.layer(path.join(directory, "audit.log"))),
      Layer.provideMerge(OtelSink.layerMemory())
    )
  const session = <A, E>(
    directory: string,
    program: Effect.Effect<A, E, LeaseRepo | SecretStore | AuditLog | OtelSink>
  ) => Effect.provide(program, Layer.fresh(inFiles(directory)))
  const leases = LeaseRepo.use(({ active }) => active)

  it.effect("is detected from the last entry of the log if no daemon ran meanwhile", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* TestClock.setTime(100 * 3_600_000)
      yield* session(directory, Effect.andThen(addSecret("db"), acquireLease("db", "worker", hour)))
      yield* setBack(0)
      for (let start = 0; start < 3; start += 1) {
        const [one] = yield* session(directory, leases)
        assert.strictEqual(one?.expiresAt.millis, 3_600_000)
      }
      assert.strictEqual((yield* session(directory, noted)).length, 1)
    })
  )

  it.effect("is detected from the last entry even if the log had to be repaired first", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* TestClock.setTime(100 * 3_600_000)
      yield* session(directory, Effect.andThen(addSecret("db"), acquireLease("db", "worker", hour)))
      fs.appendFileSync(path.join(directory, "audit.log"), '{"timestamp":"2026')
      yield* setBack(0)
      const [one] = yield* session(directory, leases)
      assert.strictEqual(one?.expiresAt.millis, 3_600_000)
    })
  )

  it.effect("stays applied after a crash before the next checkpoint", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* TestClock.setTime(100 * 3_600_000)
      yield* session(directory, Effect.andThen(addSecret("db"), acquireLease("db", "worker", hour)))
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Layer.fresh(inFiles(directory)), scope)
      yield* setBack(0)
      yield* Effect.provide(Effect.andThen(addSecret("db"), acquireLease("db", "later", hour)), context)
      const left = fs.readdirSync(directory).map((name) => [name, fs.readFileSync(path.join(directory, name))] as const)
      yield* Scope.close(scope, Exit.void)
      for (const [name, contents] of left) fs.writeFileSync(path.join(directory, name), contents)
      const ends = (yield* session(directory, leases)).map(({ expiresAt }) => expiresAt.millis)
      assert.deepStrictEqual(ends, [3_600_000, 3_600_000])
    })
  )
})
