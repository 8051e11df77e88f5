/**
 * status: what the daemon says of itself.
 */
import * as Effect from "effect/Effect"
import { LeaseRepo } from "./LeaseRepo.ts"
import { SecretStore } from "./SecretStore.ts"

export const status = Effect.gen(function* () {
  const secrets = yield* SecretStore
  const leases = yield* LeaseRepo
  return {
    secretCount: yield* secrets.count,
    activeLeases: yield* leases.activeCount,
    storeState: secrets.origin
  }
})
