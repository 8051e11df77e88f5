/** The killswitch of a team ends the leases whatever the other machines do meanwhile, and however many there are. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { sqlState } from "../../../src/daemon/team/schema.ts"
import { makeTeam, Team } from "../../../src/daemon/team/Team.ts"
import { teamLeasesLayer } from "../../../src/daemon/team/teamLeases.ts"
import { type TeamWire, WireError } from "../../../src/daemon/team/TeamWire.ts"
import { revokeAllFacts } from "../../../src/domain/leaseFacts.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

/** A database whose number of leases is another one at each change, and the changes that it got: how many, and within which seconds. */
const busyDatabase = (active: number) => {
  const puts: Array<{ readonly exact: boolean; readonly seconds: number }> = []
  const ask = (seconds: number): TeamWire["call"] =>
    Effect.fnUntraced(function* (name, input: any) {
      const common = { now: 0, revision: 1 }
      if (name === "enter_1") return { ...common, ...input, verdict: "same", machine: 1, epoch: 1, incarnation: 1 }
      if (name === "look_1") return { ...common, active, members: 0, leases: [], revoked: [], secrets: [] }
      if (input.count === undefined) return common
      puts.push({ exact: input.exact, seconds })
      if (input.exact) return yield* new WireError({ reason: "the number has changed", code: sqlState.stale })
      return common
    })
  const wire: TeamWire = {
    call: ask(2),
    callWithin: (limit, ...asked) => ask(Duration.toSeconds(limit))(...asked),
    probe: ask(2),
    drop: Effect.void
  }
  return { puts, wire }
}

const pull = Effect.fnUntraced(function* (wire: TeamWire) {
  const directory = yield* temporaryDirectory
  const memory = { read: () => ({}), write: () => Effect.void }
  const team = yield* makeTeam(wire, { name: "m1", timeout: Duration.seconds(2), beat: Duration.seconds(5), memory })
  const layer = teamLeasesLayer.pipe(
    Layer.provide(AuditLog.layer(path.join(directory, "audit.log"), undefined, {}, team.commit)),
    Layer.provide(Layer.succeed(Team, team))
  )
  return yield* LeaseRepo.use((leases) =>
    leases.transaction({ _tag: "All" }, (tx) => {
      const count = tx.revokeActive()
      for (const fact of revokeAllFacts(count)) tx.record(fact)
      return Result.succeed(count)
    })
  ).pipe(Effect.provide(layer))
}, Effect.scoped)

describe("the killswitch of a team", () => {
  it.effect("counts the leases twice, and then ends those that there are", () =>
    Effect.gen(function* () {
      const { puts, wire } = busyDatabase(100)
      assert.strictEqual(yield* pull(wire), 100)
      assert.deepStrictEqual(puts, [
        { exact: true, seconds: 2 },
        { exact: true, seconds: 2 },
        { exact: false, seconds: 2 }
      ])
    })
  )

  it.effect("ends a million leases at once, and gives the server time for each of them", () =>
    Effect.gen(function* () {
      const { puts, wire } = busyDatabase(1_000_000)
      assert.strictEqual(yield* pull(wire), 1_000_000)
      assert.deepStrictEqual(puts, [{ exact: false, seconds: 22 }])
    })
  )
})
