/**
 * Delivers events one at a time, from a bounded queue, to a receiver that may be slow,
 * failing or absent. `offer` never waits for it. An event that fails is dropped, except for
 * `daemon.started`, which is retried for a minute. Consecutive failures cause pauses with
 * exponential backoff, logged when they begin and when they end. `sink.dropped` reports the
 * count, before what is queued. On shutdown, the remaining events get a limited time, and
 * `daemon.stopped` is sent beside them at once.
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { randomUUID } from "node:crypto"
import { fromMillis } from "../domain/Timestamp.ts"
import { EventQueue } from "./EventQueue.ts"
import { events, type OtelEvent, sinkDropped } from "./OtelEvent.ts"

/** An event as it is sent. Retries have the same id, so the receiver can deduplicate them. */
export type Envelope = OtelEvent & { readonly id: string; readonly timestamp: number; readonly source: string }

export class EmitFailed extends Data.TaggedError("EmitFailed")<{ readonly reason: string }> {}

/** The state of one receiver, as `secrets status` shows it. */
export interface SinkState {
  readonly kind: "joelclaw" | "otlp"
  /** Undefined while there is no receiver. */
  readonly target: string | undefined
  readonly sent: number
  readonly dropped: number
  readonly queued: number
  readonly lastFailure: { readonly at: string; readonly reason: string } | undefined
}

export interface DeliveryOptions {
  readonly kind: SinkState["kind"]
  readonly deliver: (event: Envelope) => Effect.Effect<void, EmitFailed>
  /** Undefined while there is no receiver; until then only the daemon's own events are queued. */
  readonly target: () => string | undefined
  /** Completes when there is a target. */
  readonly ready: Effect.Effect<void>
  /** The time for the remaining events. */
  readonly shutdownTimeout?: Duration.Input | undefined
}

const maxQueued = 256
/** Events sent without a delay, and the interval after that. Each costs a process, so a flood would occupy a processor. */
const [burst, refillMillis] = [30, 2000]
/** Between two reports of dropped events, which would otherwise take the place of every other event. */
const reportMillis = Duration.toMillis(Duration.minutes(1))
/** The time for `daemon.stopped`: for a receiver that works more than the slowest that is known needs. */
const [farewellMillis, untriedFarewellMillis] = [2500, 1500]
/** Time for a receiver that starts with the machine. */
const startedRetryMillis = Duration.toMillis(Duration.minutes(1))
const failuresBeforeBackoff = 3
const [retryMillis, minBackoffMillis, maxBackoffMillis] = [1000, 5000, 300_000]

const pauseAfter = (failures: number): number =>
  failures < failuresBeforeBackoff
    ? retryMillis
    : Math.min(minBackoffMillis * 2 ** (failures - failuresBeforeBackoff), maxBackoffMillis)

/** Delivers events until the scope ends. */
export const startDelivery = Effect.fnUntraced(function* (options: DeliveryOptions) {
  const { deliver, kind, target } = options
  const queue = new EventQueue<Envelope>(maxQueued)
  const stopping = yield* Deferred.make<void>()
  let [sent, failed, reported, consecutiveFailures] = [0, 0, 0, 0]
  let reportedAt = Number.NEGATIVE_INFINITY
  let farewell: Fiber.Fiber<unknown> | undefined
  let lastFailure: SinkState["lastFailure"]
  let isSending = false

  const dropped = () => queue.dropped + failed
  const onSuccess = Effect.gen(function* () {
    sent += 1
    if (consecutiveFailures >= failuresBeforeBackoff) yield* Effect.logInfo(`events: ${kind} works again`)
    consecutiveFailures = 0
  })

  const onFailure = Effect.fnUntraced(function* (event: Envelope, reason: string) {
    const now = yield* Clock.currentTimeMillis
    lastFailure = { at: fromMillis(now).text, reason }
    consecutiveFailures += 1
    if (consecutiveFailures === failuresBeforeBackoff) {
      yield* Effect.logWarning(`events: ${kind} fails (${reason}); retrying with increasing pauses`)
    }
    if (event.action === events.daemonStarted.action && now - event.timestamp < startedRetryMillis) {
      queue.offerFirst(event)
    } else if (event.action === events.sinkDropped.action) {
      // Reported again after the next success.
      reported -= Number(event.metadata["count"])
    } else failed += 1
    yield* pause(pauseAfter(consecutiveFailures))
  })

  const report = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const count = dropped() - reported
    reported += count
    reportedAt = now
    return envelopeOf(sinkDropped(count), now)
  })

  /** Takes the report of what was dropped, else the oldest event. After a failure an event is tried first. */
  const takeNext = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const isDue = queue.size === 0 || now - reportedAt >= reportMillis
    return yield* dropped() > reported && consecutiveFailures === 0 && isDue ? report : queue.take
  })

  const pause = (duration: Duration.Input) => Effect.raceFirst(Effect.sleep(duration), Deferred.await(stopping))

  // A token bucket.
  let [tokens, refilledAt] = [burst, yield* Clock.currentTimeMillis]
  const awaitToken = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    tokens = Math.min(burst, tokens + Math.max(0, now - refilledAt) / refillMillis)
    refilledAt = now
    if (tokens < 1) yield* pause((1 - tokens) * refillMillis)
  })

  const deliverNext = Effect.andThen(options.ready, Effect.andThen(awaitToken, takeNext)).pipe(
    Effect.flatMap((event) => {
      tokens -= 1
      isSending = true
      return Effect.matchEffect(deliver(event), {
        onSuccess: () => onSuccess,
        onFailure: ({ reason }) => onFailure(event, reason)
      })
    }),
    Effect.ensuring(Effect.sync(() => void (isSending = false)))
  )
  const isDrained = () => Deferred.isDoneUnsafe(stopping) && queue.size === 0
  const fiber = yield* Effect.forkDetach(Effect.repeat(deliverNext, { until: isDrained }))

  /** Does not wait for the event that is being sent. */
  const sendFarewell = Effect.fnUntraced(function* (event: Envelope) {
    const eventsNotSent = dropped() + queue.size
    const metadata = eventsNotSent === 0 ? event.metadata : { ...event.metadata, eventsNotSent }
    const isKnown = sent > 0 && consecutiveFailures === 0
    farewell = yield* deliver({ ...event, metadata }).pipe(
      withTimeout(isKnown ? farewellMillis : untriedFarewellMillis),
      Effect.forkDetach({ startImmediately: true })
    )
  })

  const deliverRemaining = Effect.gen(function* () {
    const isFailing = consecutiveFailures >= failuresBeforeBackoff
    queue.keepOnly(({ level }) => level !== "debug" && !isFailing)
    if (dropped() > reported && !isFailing) queue.offerFirst(yield* report)
    // The event that is being sent is not in the queue.
    const isDone = queue.size === 0 && !isSending
    if (isDone || target() === undefined) return yield* Fiber.interrupt(fiber)
    yield* Deferred.succeed(stopping, undefined)
    yield* Fiber.await(fiber).pipe(withTimeout(options.shutdownTimeout ?? Duration.seconds(1)))
    yield* Fiber.interrupt(fiber).pipe(withTimeout(Duration.millis(100)))
  })
  const awaitFarewell = Effect.suspend(() => (farewell === undefined ? Effect.void : Fiber.await(farewell)))
  yield* Effect.addFinalizer(() => Effect.andThen(deliverRemaining, awaitFarewell))

  /** Takes an event of this time, in milliseconds. */
  const offer = (event: OtelEvent, time: number): Effect.Effect<void> => {
    if (target() === undefined && event.component !== "daemon") return Effect.void
    const next = envelopeOf(event, time)
    if (event.action === events.daemonStopped.action && target() !== undefined) return sendFarewell(next)
    queue.offer(next)
    return Effect.void
  }

  const state = Effect.sync((): SinkState => ({
    kind,
    target: target(),
    sent,
    dropped: dropped(),
    queued: queue.size,
    lastFailure
  }))
  return { offer, state }
})

const envelopeOf = (event: OtelEvent, timestamp: number): Envelope => ({
  ...event,
  id: randomUUID(),
  timestamp,
  source: "agent-secrets"
})

/**
 * Interrupts an effect after a time. Its processes are killed, and not awaited for long: where nothing reaps them, the library
 * waits a second. Finalizers are uninterruptible, so what runs in one needs `interruptible`.
 */
const withTimeout =
  (duration: Duration.Input) =>
  <E>(self: Effect.Effect<unknown, E>) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkDetach(Effect.interruptible(self), { startImmediately: true })
      const ended = Effect.interruptible(Fiber.await(fiber))
      yield* Effect.ensuring(
        Effect.timeoutOption(ended, duration),
        Effect.sync(() => fiber.interruptUnsafe())
      )
      yield* Effect.timeoutOption(ended, killMillis)
    })
const killMillis = 100
