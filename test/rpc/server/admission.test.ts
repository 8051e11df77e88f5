import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { makeAdmission } from "../../../src/rpc/server/admission.ts"
import { bulkBytes } from "../../../src/rpc/protocol/limits.ts"

const large = { value: "x".repeat(bulkBytes + 1) }

/** Turns of the event loop in which others work for a millisecond each, as connections that are accepted do. */
class Others {
  turns = 0
  private isNeeded = true
  private readonly last: number

  constructor(last: number) {
    this.last = last
    setImmediate(() => this.work())
  }

  private work(): void {
    this.turns += 1
    if (this.isNeeded && this.turns < this.last) setImmediate(() => this.work())
  }

  stop(): void {
    this.isNeeded = false
  }

  /** A clock that their work alone moves. */
  readonly clock = Effect.map(Clock.Clock, (live): Clock.Clock =>
    Object.assign(Object.create(live), {
      sleep: () => Effect.void,
      monotonicTimeNanos: Effect.sync(() => BigInt(this.turns) * 1_000_000n)
    })
  )
}

/** Returns how many turns of the others a large reply waits for. */
const turnsBeforeEncoding = Effect.fnUntraced(function* (last: number) {
  const { forReply } = yield* makeAdmission
  const others = new Others(last)
  const encoding = forReply(large, () =>
    Effect.sync(() => {
      others.stop()
      return String(others.turns)
    })
  )
  return Number(yield* Effect.provideService(encoding, Clock.Clock, yield* others.clock))
})

describe("a reply that is slow to encode", () => {
  it.live("waits until the others have no work", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* turnsBeforeEncoding(30), 30)
    })
  )

  it.live("waits for 50 ms at most", () =>
    Effect.gen(function* () {
      assert.approximately(yield* turnsBeforeEncoding(Number.POSITIVE_INFINITY), 50, 2)
    })
  )
})
