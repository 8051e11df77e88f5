/**
 * A bounded queue of events without backpressure. When it is full, it drops the oldest debug
 * event, or the oldest event if there is none. `offer` never waits or fails, and its cost
 * does not depend on the length of the queue.
 */
import * as Effect from "effect/Effect"
import * as MutableList from "effect/MutableList"
import * as Queue from "effect/Queue"
import type { Level } from "../domain/telemetry.ts"

interface Numbered<Event> {
  readonly number: number
  readonly event: Event
}

export class EventQueue<Event extends { readonly level: Level }> {
  /** Separate lists, so that the oldest debug event is first in one of them. Numbers order the events of both. */
  private readonly debug = MutableList.make<Numbered<Event>>()
  private readonly others = MutableList.make<Numbered<Event>>()
  private readonly capacity: number
  private readonly nonEmpty = Effect.runSync(Queue.sliding<void>(1))
  private droppedCount = 0
  private newest = 0
  private oldest = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.debug.length + this.others.length
  }

  /** How many events were dropped because the queue was full. */
  get dropped(): number {
    return this.droppedCount
  }

  offer(event: Event): void {
    if (this.size >= this.capacity) {
      this.droppedCount += 1
      if (this.debug.length === 0 && event.level === "debug") return
      MutableList.take(this.debug.length === 0 ? this.others : this.debug)
    }
    const wasEmpty = this.size === 0
    this.newest += 1
    MutableList.append(this.listOf(event), { number: this.newest, event })
    if (wasEmpty) Queue.offerUnsafe(this.nonEmpty, undefined)
  }

  /** Puts an event first. May exceed the capacity. */
  offerFirst(event: Event): void {
    this.oldest -= 1
    MutableList.prepend(this.listOf(event), { number: this.oldest, event })
    Queue.offerUnsafe(this.nonEmpty, undefined)
  }

  /** Waits for an event, and removes and returns the oldest one. */
  readonly take: Effect.Effect<Event> = Effect.suspend(() => {
    const first = MutableList.take(this.listWithOldest())
    return first === MutableList.Empty
      ? Effect.andThen(Queue.take(this.nonEmpty), this.take)
      : Effect.succeed(first.event)
  })

  /** Removes the events that do not match, without counting them as dropped. */
  keepOnly(matches: (event: Event) => boolean): void {
    for (const list of [this.debug, this.others]) MutableList.filter(list, ({ event }) => matches(event))
  }

  private listOf({ level }: Event) {
    return level === "debug" ? this.debug : this.others
  }

  private listWithOldest() {
    const [debug] = MutableList.toArrayN(this.debug, 1)
    const [other] = MutableList.toArrayN(this.others, 1)
    if (debug === undefined || other === undefined) return debug === undefined ? this.others : this.debug
    return debug.number < other.number ? this.debug : this.others
  }
}
