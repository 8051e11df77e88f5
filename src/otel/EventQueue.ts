/**
 * Events that wait to be sent: a bounded number of them. When there is no room, the
 * oldest debug event goes, and if there is none, the oldest of all. Putting one in
 * never waits and never fails.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Level } from "../domain/Sampling.ts"

export class EventQueue<Event extends { readonly level: Level }> {
  private readonly waiting: Array<Event> = []
  private readonly capacity: number
  private readonly signal = Effect.runSync(Queue.sliding<void>(1))
  private lost = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.waiting.length
  }

  /** How many went because there was no room. */
  get dropped(): number {
    return this.lost
  }

  offer(event: Event): void {
    if (this.waiting.length >= this.capacity) {
      this.lost += 1
      const oldestDebug = this.waiting.findIndex(({ level }) => level === "debug")
      if (oldestDebug < 0 && event.level === "debug") return
      this.waiting.splice(Math.max(0, oldestDebug), 1)
    }
    this.waiting.push(event)
    Queue.offerUnsafe(this.signal, undefined)
  }

  /** Puts back one that was taken; it is the next one again. */
  offerFirst(event: Event): void {
    this.waiting.unshift(event)
    Queue.offerUnsafe(this.signal, undefined)
  }

  /** The oldest one, when there is one. */
  readonly take: Effect.Effect<Event> = Effect.suspend(() => {
    const event = this.waiting.shift()
    return event === undefined ? Effect.andThen(Queue.take(this.signal), this.take) : Effect.succeed(event)
  })

  /** Forgets what is not worth the last moment; it is not counted as lost. */
  keepOnly(isWorthIt: (event: Event) => boolean): void {
    this.waiting.splice(0, this.waiting.length, ...this.waiting.filter(isWorthIt))
  }
}
