/**
 * The heartbeat activates the killswitch after the configured failures of an endpoint that
 * has responded before. Nothing else counts: a request that was not sent, a machine that slept.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { TestClock } from "effect/testing"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import {
  armedHeartbeat,
  type Probe,
  probeEndpoint,
  startHeartbeat,
  unarmedHeartbeat,
  watchHeartbeat
} from "../../../src/daemon/lifecycle/heartbeat.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { minute, second } from "../../../src/domain/GoDuration.ts"
import { acquireLease, activeCount, addSecret, rotationHook, testLayerNoTelemetry } from "../../support/testLayer.ts"

const noHook = rotationHook(() => ({
  stdout: new Uint8Array(),
  stderr: new Uint8Array(),
  status: "failed",
  outcome: "exit status ?"
}))
const testLayer = Layer.provideMerge(testLayerNoTelemetry, noHook)

const failAction = { revokeAll: true, rotateAll: false, wipeStore: false }
const settings = { url: "http://127.0.0.1/", interval: minute, timeout: second, maxFailures: 1, failAction }
const wiping = { ...settings, failAction: { ...failAction, wipeStore: true } }

const responds: Probe = Effect.void
const down: Probe = Effect.fail(["no answer", "HTTP 503"])
const endpoint = { state: responds }
const probe: Probe = Effect.suspend(() => endpoint.state)

/**
 * Starts the watch with a lease of one secret. `ahead` is how far the wall clock is ahead of the other one, `late` by how
 * many milliseconds short sleeps end late, which both clocks count.
 */
const start = Effect.fnUntraced(function* (given: typeof settings = settings, first = responds) {
  const state = yield* Ref.make(unarmedHeartbeat)
  const skew = { ahead: 0, late: 0 }
  const clock = yield* Clock.clockWith(Effect.succeed)
  yield* addSecret("db")
  yield* acquireLease("db", "c")
  endpoint.state = first
  const watching = yield* watchHeartbeat(given, state, probe).pipe(
    Effect.provideService(Clock.Clock, {
      ...clock,
      currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis + skew.ahead),
      sleep: (duration) => clock.sleep(Duration.sum(duration, Duration.millis(skew.late)))
    }),
    Effect.forkChild
  )
  return { state, skew, stop: Fiber.interrupt(watching) }
})
/** Starts the watch and lets one check succeed. */
const startArmed = (given?: typeof settings) =>
  Effect.tap(start(given), () =>
    Effect.andThen(
      TestClock.adjust("1 minute"),
      Effect.sync(() => (endpoint.state = down))
    )
  )

const recorded = Effect.map(
  AuditLog.use((audit) => audit.tail(100)),
  (entries) => entries.filter(({ action }) => action === "heartbeat_fail").map(({ details }) => details)
)
const secretCount = SecretStore.use((secrets) => secrets.count)
const minutes = (count: number) => TestClock.adjust(`${count} minutes`)

const heartbeat = (name: string, run: Effect.Effect<void, unknown, Layer.Success<typeof testLayer>>) =>
  it.effect(name, () => Effect.provide(run, testLayer))

describe("the heartbeat", () => {
  heartbeat(
    "does nothing while the endpoint responds",
    Effect.gen(function* () {
      const { stop } = yield* start()
      yield* minutes(10)
      assert.strictEqual(yield* activeCount, 1)
      yield* stop
    })
  )

  heartbeat(
    "does not fire before the first check after a success, and fires at it",
    Effect.gen(function* () {
      const { stop } = yield* startArmed()
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual(yield* activeCount, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* activeCount, 0)
      assert.deepStrictEqual(yield* recorded, ["heartbeat failed: HTTP 503"])
      yield* stop
    })
  )

  heartbeat(
    "does not fire before the endpoint has responded once, however often it fails",
    Effect.gen(function* () {
      const { state, stop } = yield* start(wiping, down)
      yield* minutes(50)
      assert.deepStrictEqual([yield* activeCount, yield* secretCount, yield* recorded], [1, 1, []])
      assert.deepStrictEqual(yield* Ref.get(state), unarmedHeartbeat)
      endpoint.state = responds
      yield* minutes(1)
      assert.deepStrictEqual(yield* Ref.get(state), armedHeartbeat)
      endpoint.state = down
      yield* minutes(1)
      assert.strictEqual(yield* activeCount, 0)
      yield* stop
    })
  )

  heartbeat(
    "fires after the configured consecutive failures, and not before",
    Effect.gen(function* () {
      const { stop } = yield* startArmed({ ...settings, maxFailures: 3 })
      yield* minutes(2)
      endpoint.state = responds
      yield* minutes(1)
      endpoint.state = down
      yield* minutes(2)
      assert.strictEqual(yield* activeCount, 1)
      yield* minutes(1)
      assert.strictEqual(yield* activeCount, 0)
      yield* stop
    })
  )

  heartbeat(
    "fires once per outage, and again after a recovery",
    Effect.gen(function* () {
      const { state, stop } = yield* startArmed()
      yield* minutes(1)
      yield* acquireLease("db", "c")
      yield* minutes(5)
      assert.strictEqual(yield* activeCount, 1)
      assert.deepStrictEqual(yield* Ref.get(state), { armed: true, consecutiveFailures: 6, fired: 1 })
      assert.strictEqual((yield* recorded).length, 1)
      endpoint.state = responds
      yield* minutes(1)
      assert.deepStrictEqual(yield* Ref.get(state), armedHeartbeat)
      endpoint.state = down
      yield* minutes(1)
      assert.strictEqual(yield* activeCount, 0)
      yield* stop
    })
  )

  heartbeat(
    "revokes after max_failures, but wipes only after three failures, once",
    Effect.gen(function* () {
      const { stop } = yield* startArmed(wiping)
      yield* minutes(1)
      assert.deepStrictEqual([yield* activeCount, yield* secretCount], [0, 1])
      yield* minutes(1)
      assert.strictEqual(yield* secretCount, 1)
      yield* minutes(1)
      assert.strictEqual(yield* secretCount, 0)
      yield* addSecret("db")
      yield* minutes(5)
      assert.strictEqual(yield* secretCount, 1)
      assert.strictEqual((yield* recorded).length, 3)
      yield* stop
    })
  )

  heartbeat(
    "waits for max_failures with every step if that is more than three",
    Effect.gen(function* () {
      const { stop } = yield* startArmed({ ...wiping, maxFailures: 5 })
      yield* minutes(4)
      assert.deepStrictEqual([yield* activeCount, yield* secretCount], [1, 1])
      yield* minutes(1)
      assert.deepStrictEqual([yield* activeCount, yield* secretCount], [0, 0])
      yield* stop
    })
  )

  heartbeat(
    "never counts a request that could not be sent",
    Effect.gen(function* () {
      const { state, stop } = yield* startArmed(wiping)
      endpoint.state = Effect.fail(["not sent", "EMFILE"])
      yield* minutes(30)
      assert.deepStrictEqual([yield* activeCount, yield* secretCount, yield* recorded], [1, 1, []])
      assert.deepStrictEqual(yield* Ref.get(state), armedHeartbeat)
      yield* stop
    })
  )
})

describe("a heartbeat after the machine slept", () => {
  const frequent = { ...wiping, interval: 10n * second }

  heartbeat(
    "counts no failure for a minute, and begins to count anew",
    Effect.gen(function* () {
      const { skew, state, stop } = yield* startArmed({ ...frequent, maxFailures: 3 })
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* Ref.get(state)).consecutiveFailures, 2)
      skew.ahead = 3_600_000
      yield* TestClock.adjust("64 seconds")
      assert.deepStrictEqual(yield* Ref.get(state), armedHeartbeat)
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual([(yield* Ref.get(state)).consecutiveFailures, yield* secretCount], [2, 1])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* secretCount, 0)
      yield* stop
    })
  )

  heartbeat(
    "does the same if only the check comes late",
    Effect.gen(function* () {
      const { state, stop } = yield* startArmed(frequent)
      endpoint.state = Effect.andThen(Effect.sleep("50 minutes"), down)
      yield* TestClock.adjust("10 seconds")
      endpoint.state = down
      yield* minutes(50)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(yield* Ref.get(state), armedHeartbeat)
      assert.strictEqual(yield* activeCount, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Ref.get(state)).consecutiveFailures, 1)
      yield* stop
    })
  )

  heartbeat(
    "counts no failure if the sleep ended before the check, which came in time",
    Effect.gen(function* () {
      const { skew, state, stop } = yield* startArmed()
      yield* TestClock.adjust("20 seconds")
      skew.late = 20_000
      yield* TestClock.adjust("5 seconds")
      skew.late = 0
      yield* TestClock.adjust("35 seconds")
      assert.deepStrictEqual(yield* Ref.get(state), armedHeartbeat)
      yield* minutes(1)
      assert.strictEqual((yield* Ref.get(state)).consecutiveFailures, 1)
      yield* stop
    })
  )

  heartbeat(
    "accepts a success at once",
    Effect.gen(function* () {
      const { skew, state, stop } = yield* start(frequent, down)
      yield* TestClock.adjust("10 seconds")
      skew.ahead = 3_600_000
      endpoint.state = responds
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Ref.get(state), armedHeartbeat)
      yield* stop
    })
  )

  heartbeat(
    "does not repeat what it did before the sleep",
    Effect.gen(function* () {
      const { skew, state, stop } = yield* startArmed(frequent)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* secretCount, 0)
      yield* addSecret("new")
      skew.ahead = 3_600_000
      yield* minutes(5)
      assert.deepStrictEqual([yield* secretCount, (yield* Ref.get(state)).fired], [1, 2])
      yield* stop
    })
  )
})

describe("the request of the heartbeat", () => {
  const kindFor = (url: string) =>
    Effect.map(Effect.flip(probeEndpoint({ ...settings, url, timeout: minute })), ([kind]) => kind)

  it.live.each([
    ["http://127.0.0.1:10080/", "not sent"],
    ["http://somebody:hush@127.0.0.1/", "not sent"],
    ["http://:hush@[::1]:9999/", "not sent"],
    ["ftp://127.0.0.1/", "not sent"],
    ["http://256.1.1.1/", "not sent"],
    ["http://127.0.0.1:0/", "no answer"],
    ["http://nobody.invalid/", "no answer"]
  ] as const)("%s: %s", ([url, kind]) => Effect.map(kindFor(url), (found) => assert.strictEqual(found, kind)))

  heartbeat(
    "says in the status whether the switch is armed",
    Effect.gen(function* () {
      const { status } = yield* startHeartbeat(settings)
      assert.deepInclude(yield* status, { armed: false, fired: false, failures_in_a_row: 0 })
    })
  )
})
