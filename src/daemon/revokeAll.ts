/**
 * revokeAll, the killswitch: ends every active lease at once. The secrets stay.
 */
import * as Effect from "effect/Effect"
import { allLeasesRevoked } from "../domain/AuditEntry.ts"
import { LeaseRepo } from "./LeaseRepo.ts"

/** Gives the number of leases that were active. */
export const revokeAll = Effect.fn("revokeAll")(function* () {
  const leases = yield* LeaseRepo
  return yield* leases.transaction((held) => {
    const active = held.active()
    for (const lease of active) held.revoke(lease)
    held.record(...allLeasesRevoked(active.length))
    return Effect.succeed(active.length)
  })
})
