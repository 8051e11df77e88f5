/** How soon a machine is back after its line was cut, in virtual time: questions that were under way are never answered. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import { makeTeam } from "../../../src/daemon/team/Team.ts"
import { type TeamCall, type TeamWire, WireError } from "../../../src/daemon/team/TeamWire.ts"
import { genesis } from "../../../src/domain/AuditChain.ts"

/** A line that is cut until a time. A question that is asked before has no answer within the timeout. */
const lineUntil = (healed: number, timeout: Duration.Duration) => {
  let open = 0
  const most = { open: 0 }
  const ask = Effect.fnUntraced(function* (name: TeamCall) {
    const now = yield* Clock.currentTimeMillis
    if (now < healed) {
      most.open = Math.max(most.open, ++open)
      yield* Effect.sleep(timeout)
      open -= 1
      return yield* new WireError({ reason: "no answer", code: undefined })
    }
    const entered = { verdict: "same", machine: 1, epoch: 1, ...genesis, now, revision: 1, incarnation: 1 }
    const looked = { now, revision: 1, active: null, members: 0, leases: [], revoked: [], secrets: [] }
    return name === "enter_1" ? entered : looked
  })
  const wire: TeamWire = { call: ask, callWithin: (_, name) => ask(name), probe: ask, drop: Effect.void }
  return { wire, most }
}

const timeToReturn = Effect.fnUntraced(function* (healed: number, timeout: Duration.Duration) {
  const { most, wire } = lineUntil(healed, timeout)
  const memory = { read: () => ({}), write: () => Effect.void }
  const team = yield* makeTeam(wire, { name: "m1", timeout, beat: Duration.seconds(5), memory })
  const begun = yield* Clock.currentTimeMillis
  const enter = team.commit.enter(genesis, () => Effect.succeed([]))
  yield* Effect.forkScoped(team.keepUp(enter))
  while (team.state()._tag !== "Entered") yield* TestClock.adjust(50)
  return { millis: (yield* Clock.currentTimeMillis) - begun - healed, open: most.open }
}, Effect.scoped)

describe("a machine whose line is healed", () => {
  for (const [timeout, within] of [
    [2, 500],
    [4, 1000]
  ] as const) {
    it.effect(`serves within ${within} ms, with a timeout of ${timeout} s`, () =>
      Effect.gen(function* () {
        // Within the first timeout it does not yet count as away.
        for (let seconds = timeout; seconds < timeout + 6; seconds += 0.67) {
          yield* TestClock.setTime(0)
          const returned = timeToReturn(seconds * 1000, Duration.seconds(timeout))
          const { millis, open } = yield* Random.withSeed(returned, `line ${seconds}`)
          assert.isBelow(millis, within, `healed after ${seconds} s`)
          assert.isAtMost(open, 11)
        }
      })
    )
  }
})
