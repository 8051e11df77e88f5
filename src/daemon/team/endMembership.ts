/** What a machine does in the database when it leaves: its leases end, and it may write nothing more. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { revokeFact, teamLeaveFact } from "../../domain/AuditEntry.ts"
import type { Config } from "../../domain/Config.ts"
import type { TeamSettings } from "../../domain/TeamConfig.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { Team } from "./Team.ts"
import { teamLayers } from "./teamFaces.ts"
import { leaseRows } from "./teamLeases.ts"

/** Revokes the leases of this machine, and removes it from the team; returns their number. */
export const endMembership = Effect.fn("endMembership")(function* (config: Config, settings: TeamSettings) {
  const context = yield* Layer.build(teamLayers(config, settings))
  return yield* Effect.gen(function* () {
    const [team, leases] = [yield* Team, yield* LeaseRepo]
    const ids = (yield* leaseRows).filter(({ machine }) => machine === team.machine()).map(({ id }) => id)
    yield* leases.transaction({ _tag: "Leases", ids }, (tx) => {
      for (const lease of ids.flatMap((id) => tx.find(id) ?? [])) tx.revoke(lease, revokeFact(lease))
      tx.record(teamLeaveFact("this machine leaves the team"))
      return Result.void
    })
    yield* team.leave
    return ids.length
  }).pipe(Effect.provide(context))
})
