/** What a machine does in the database when it leaves: its leases end, and it signs that it is gone. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { teamLeaveFact } from "../../domain/daemonFacts.ts"
import { revokeFact } from "../../domain/leaseFacts.ts"
import type { Config } from "../../domain/Config.ts"
import type { TeamSettings } from "../../domain/TeamConfig.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { readSigner, signStatement } from "./signer.ts"
import { Team } from "./Team.ts"
import { teamLayers } from "./teamFaces.ts"
import { leaseRows } from "./teamLeases.ts"

/** Revokes the leases of this machine, and signs that it leaves; returns their number, or undefined if it was removed before. */
export const endMembership = Effect.fn("endMembership")(function* (config: Config, settings: TeamSettings) {
  const signer = yield* readSigner(config, settings.name)
  const context = yield* Layer.build(teamLayers(config, settings))
  return yield* Effect.gen(function* () {
    const [team, leases] = [yield* Team, yield* LeaseRepo]
    const leave = Effect.gen(function* () {
      const ids = (yield* leaseRows).filter(({ machine }) => machine === team.machine()).map(({ id }) => id)
      yield* leases.transaction({ _tag: "Leases", ids }, (tx) => {
        for (const lease of ids.flatMap((id) => tx.find(id) ?? [])) tx.revoke(lease, revokeFact(lease))
        tx.record(teamLeaveFact("this machine leaves the team"))
        return Result.void
      })
      yield* team.declare(signStatement(team.members(), signer, { do: "remove", machine: signer.name }))
      return ids.length
    })
    const isRejected = () => team.state()._tag === "Stopped"
    return yield* Effect.catchIf(leave, isRejected, () => Effect.succeed(undefined))
  }).pipe(Effect.provide(context))
})
