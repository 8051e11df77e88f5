/**
 * Events that wait to be sent: a bounded number of them. When there is no room, the
 * oldest debug event goes, and if there is none, the oldest of all. Putting one in
 * never waits, never fails, and costs the same however many there are.
 */
import * as Effect from "effect/Effect"
import * as MutableList from "effect/MutableList"
import * as Queue from "effect/Queue"
import type { Level } from "../domain/TelemetryConfig.ts"

interface Numbered<Event> {
  readonly number: number
  readonly event: Event
}

export class EventQueue<Event extends { readonly level: Level }> {
  /** Apart, so that the oldest debug event need not be looked for; their numbers tell who came first. */
  private readonly debug = MutableList.make<Numbered<Event>>()
  private readonly others = MutableList.make<Numbered<Event>>()
  private readonly capacity: number
  /** Given when there is one again; nobody waits for it before. */
  private readonly signal = Effect.runSync(Queue.sliding<void>(1))
  private lost = 0
  private newest = 0
  private oldest = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.debug.length + this.others.length
  }

  /** How many went because there was no room. */
  get dropped(): number {
    return this.lost
  }

  offer(event: Event): void {
    if (this.size >= this.capacity) {
      this.lost += 1
      if (this.debug.length === 0 && event.level === "debug") return
      MutableList.take(this.debug.length === 0 ? this.others : this.debug)
    }
    const wasEmpty = this.size === 0
    this.newest += 1
    MutableList.append(this.listOf(event), { number: this.newest, event })
    if (wasEmpty) Queue.offerUnsafe(this.signal, undefined)
  }

  /** Puts back one that was taken; it is the next one again. */
  offerFirst(event: Event): void {
    this.oldest -= 1
    MutableList.prepend(this.listOf(event), { number: this.oldest, event })
    Queue.offerUnsafe(this.signal, undefined)
  }

  /** The oldest one, when there is one. */
  readonly take: Effect.Effect<Event> = Effect.suspend(() => {
    const first = MutableList.take(this.first())
    return first === MutableList.Empty
      ? Effect.andThen(Queue.take(this.signal), this.take)
      : Effect.succeed(first.event)
  })

  /** Forgets what is not worth the last moment; it is not counted as lost. */
  keepOnly(isWorthIt: (event: Event) => boolean): void {
    for (const list of [this.debug, this.others]) MutableList.filter(list, ({ event }) => isWorthIt(event))
  }

  private listOf({ level }: Event) {
    return level === "debug" ? this.debug : this.others
  }

  /** The list that has the oldest event. */
  private first() {
    const [debug] = MutableList.toArrayN(this.debug, 1)
    const [other] = MutableList.toArrayN(this.others, 1)
    if (debug === undefined || other === undefined) return debug === undefined ? this.others : this.debug
    return debug.number < other.number ? this.debug : this.others
  }
}
