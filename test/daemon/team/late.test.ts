/** A machine that slept, by both clocks: what it committed before may be another's by now. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { makeTeam } from "../../../src/daemon/team/Team.ts"
import type { TeamCall, TeamWire } from "../../../src/daemon/team/TeamWire.ts"
import { genesis } from "../../../src/domain/AuditChain.ts"

const timeout = Duration.seconds(2)
const lines = { text: "", before: genesis, after: genesis }

/** A team whose commits are answered after a time. */
const teamThatTakes = Effect.fnUntraced(function* (millis: number) {
  const answer = Effect.fnUntraced(function* (name: TeamCall) {
    const now = yield* Clock.currentTimeMillis
    if (name === "enter_1")
      return { verdict: "same", machine: 1, epoch: 1, ...genesis, now, revision: 1, incarnation: 1 }
    yield* TestClock.adjust(millis)
    return { now, revision: 1 }
  })
  const wire: TeamWire = { call: answer, callWithin: (_, name) => answer(name), probe: answer, drop: Effect.void }
  const memory = { read: () => ({}), write: () => Effect.void }
  const team = yield* makeTeam(wire, { name: "m1", timeout, beat: Duration.seconds(5), memory })
  yield* team.commit.enter(genesis, () => Effect.succeed([]))
  return team
})

describe("a commit", () => {
  it.effect("is late when longer than the timeout has passed since it was sent, until the next one", () =>
    Effect.gen(function* () {
      const team = yield* teamThatTakes(500)
      yield* team.commit.put(lines, undefined)
      yield* TestClock.adjust(1500)
      assert.isFalse(team.isLate())
      yield* TestClock.adjust(1)
      assert.isTrue(team.isLate())
      yield* team.commit.put(lines, undefined)
      assert.isFalse(team.isLate())
    })
  )

  it.effect("fails if its answer is late, and the machine has to enter again", () =>
    Effect.gen(function* () {
      const team = yield* teamThatTakes(2001)
      const { message } = yield* Effect.flip(team.commit.put(lines, undefined))
      assert.include(message, "the answer came too late")
      assert.strictEqual(team.state()._tag, "Unsure")
    })
  )
})
