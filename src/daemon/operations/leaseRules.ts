/**
 * What decides about a lease besides the request and the store: who asks, the limits, the policy,
 * the routes of the proxy, and the requests that wait for a person.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { defaultMaxActiveLeases, defaultTtlPolicy, type TtlPolicy } from "../../domain/Lease.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import { CurrentPolicy } from "./CurrentPolicy.ts"
import { CurrentRoutes } from "./CurrentRoutes.ts"
import { OpenRequests } from "./RequestTable.ts"

/** The limits with which the daemon was started. */
export interface LeaseLimits {
  readonly ttl: TtlPolicy
  readonly maxActiveLeases: number
}

export const CurrentLimits = Context.Reference<LeaseLimits>("agent-secrets/LeaseLimits", {
  defaultValue: () => ({ ttl: defaultTtlPolicy, maxActiveLeases: defaultMaxActiveLeases })
})

/** Returns all of it as it is now, in one step: each look-up of its own would slow every lease. */
export const leaseRules = Effect.withFiber((fiber) =>
  Effect.succeed({
    caller: fiber.getRef(CurrentCaller),
    limits: fiber.getRef(CurrentLimits),
    policy: fiber.getRef(CurrentPolicy).get(),
    routes: fiber.getRef(CurrentRoutes).get(),
    requests: fiber.getRef(OpenRequests)
  })
)
