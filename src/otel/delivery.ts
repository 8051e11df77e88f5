/**
 * Events on their way to a receiver that may be slow, broken or not there yet.
 *
 * One at a time, out of a bounded queue. What fails is lost, but for `daemon.started`,
 * which is tried for a minute. After some failures in a row there are pauses that
 * grow, with one line in the log when they begin and one when they are over; the first
 * event that arrives again is followed by the number of those that did not. At the
 * end what is worth it gets a moment. Nobody who emits waits for any of this.
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
import type { OtelEvent } from "./OtelEvent.ts"
import { events, sinkDropped } from "./OtelEvent.ts"

/** An event as it goes out: stamped once, so that sending it twice is harmless. */
export type Envelope = OtelEvent & { readonly id: string; readonly timestamp: number; readonly source: string }

/** An event in the queue: all that has to be known of when it was emitted. The rest is for those that are sent. */
interface Waiting {
  readonly level: OtelEvent["level"]
  readonly event: OtelEvent
  readonly timestamp: number
  /** If it was tried before. */
  readonly envelope: Envelope | undefined
}

export class EmitFailed extends Data.TaggedError("EmitFailed")<{ readonly reason: string }> {}

/** How a sink is doing, for whoever asks. */
export interface SinkState {
  readonly kind: "joelclaw" | "otlp"
  /** Where events go; undefined while there is nothing to send them to. */
  readonly target: string | undefined
  readonly sent: number
  /** Events that never arrived. */
  readonly dropped: number
  readonly queued: number
  readonly lastFailure: { readonly at: string; readonly reason: string } | undefined
}

export interface DeliveryOptions {
  readonly kind: SinkState["kind"]
  /** Sends one event; fails with the reason. */
  readonly deliver: (event: Envelope) => Effect.Effect<void, EmitFailed>
  /** Where to; undefined while there is nothing. Then only the daemon's own events are kept for it. */
  readonly target: () => string | undefined
  /** Done when there is a target; nothing is sent before. */
  readonly ready: Effect.Effect<void>
  /** What the events that are left get at the end; the daemon has two seconds for all of it. */
  readonly farewell?: Duration.Input | undefined
}

/** Events that may wait. */
const queueLength = 256
/**
 * Events that are sent one right after the other, and then how long there is between two: a process for each costs half
 * a second of CPU, which a flood of leases must not turn into a processor that does nothing else.
 */
const atOnce = 30
const spacing = 2000
/** A receiver that starts with the machine has its time to come up. */
const startedFor = Duration.toMillis(Duration.minutes(1))
/** Failures in a row until the pauses grow. */
const patience = 3
const shortPause = Duration.seconds(1)
const firstPause = Duration.seconds(5)
const longestPause = Duration.minutes(5)

/** The pause after so many failures in a row. */
const pauseAfter = (failures: number): Duration.Duration =>
  failures < patience
    ? shortPause
    : Duration.min(Duration.times(firstPause, 2 ** Math.min(failures - patience, 10)), longestPause)

/** Starts the worker; gives the members of the sink. */
export const startDelivery = Effect.fnUntraced(function* (options: DeliveryOptions) {
  const { deliver, kind, target } = options
  const queue = new EventQueue<Waiting>(queueLength)
  const ending = yield* Deferred.make<void>()
  let [sent, failed, told, failuresInARow] = [0, 0, 0, 0]
  let lastFailure: SinkState["lastFailure"]
  let isSending = false

  const lost = () => queue.dropped + failed
  const arrived = Effect.gen(function* () {
    sent += 1
    if (failuresInARow >= patience) yield* Effect.logInfo(`events: ${kind} works again`)
    failuresInARow = 0
    // Where there is no room, to tell of it would push out the next one, and daemon.stopped is that at the end.
    if (lost() === told || queue.size >= queueLength) return
    const more = lost() - told
    told = lost()
    queue.offer(waiting(sinkDropped(more), yield* Clock.currentTimeMillis))
  })

  const didNot = Effect.fnUntraced(function* (event: Envelope, reason: string) {
    const now = yield* Clock.currentTimeMillis
    lastFailure = { at: fromMillis(now).text, reason }
    failuresInARow += 1
    if (failuresInARow === patience) {
      yield* Effect.logWarning(`events: ${kind} fails (${reason}); there are pauses until it works`)
    }
    if (event.action === events.daemonStarted.action && now - event.timestamp < startedFor) {
      queue.offerFirst({ ...waiting(event, event.timestamp), envelope: event })
    } else if (event.action === events.sinkDropped.action) {
      // Told again with the next one that arrives.
      told -= Number(event.metadata["count"])
    } else failed += 1
    const pause = Effect.sleep(pauseAfter(failuresInARow))
    yield* Effect.raceFirst(pause, Deferred.await(ending))
  })

  let [allowance, since] = [atOnce, yield* Clock.currentTimeMillis]
  const inTurn = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    allowance = Math.min(atOnce, allowance + Math.max(0, now - since) / spacing)
    since = now
    if (allowance >= 1) return
    yield* Effect.raceFirst(Effect.sleep((1 - allowance) * spacing), Deferred.await(ending))
  })

  const one = Effect.andThen(options.ready, Effect.andThen(inTurn, queue.take)).pipe(
    Effect.map((next) => {
      allowance -= 1
      return next.envelope ?? stamp(next)
    }),
    Effect.flatMap((event) => {
      isSending = true
      return Effect.matchEffect(deliver(event), {
        onSuccess: () => arrived,
        onFailure: ({ reason }) => didNot(event, reason)
      })
    }),
    Effect.ensuring(Effect.sync(() => void (isSending = false)))
  )
  const isOver = () => Deferred.isDoneUnsafe(ending) && queue.size === 0
  const fiber = yield* Effect.forkDetach(Effect.repeat(one, { until: isOver }))

  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      // A receiver that does not work gets one more try, with what matters most.
      queue.keepOnly(({ event, level }) =>
        failuresInARow >= patience ? event.action === events.daemonStopped.action : level !== "debug"
      )
      // The last event, as a rule: that the daemon stops. It is no longer in the queue when it is on its way.
      const isDone = queue.size === 0 && !isSending
      if (isDone || target() === undefined) return yield* Fiber.interrupt(fiber)
      yield* Deferred.succeed(ending, undefined)
      yield* Fiber.await(fiber).pipe(atMost(options.farewell ?? Duration.seconds(1)))
      yield* Fiber.interrupt(fiber).pipe(atMost(Duration.millis(100)))
    }).pipe(Effect.ignore)
  )

  const emit = (event: OtelEvent): Effect.Effect<void> =>
    Effect.withFiber((fiber) => {
      if (target() === undefined && event.component !== "daemon") return Effect.void
      const next = waiting(event, fiber.getRef(Clock.Clock).currentTimeMillisUnsafe())
      // There may be no time for those that wait already.
      if (event.action === events.daemonStopped.action) queue.offerFirst(next)
      else queue.offer(next)
      return Effect.void
    })

  const state = Effect.sync((): SinkState => ({
    kind,
    target: target(),
    sent,
    dropped: lost(),
    queued: queue.size,
    lastFailure
  }))
  return { emit, state }
})

const waiting = (event: OtelEvent, timestamp: number): Waiting => ({
  level: event.level,
  event,
  timestamp,
  envelope: undefined
})

const stamp = ({ event, timestamp }: Waiting): Envelope => ({
  ...event,
  id: randomUUID(),
  timestamp,
  source: "agent-secrets"
})

/** Waits for something within a finalizer, which nothing else could cut short. */
const atMost = (duration: Duration.Input) => (self: Effect.Effect<unknown>) =>
  Effect.timeoutOption(Effect.interruptible(self), duration)
