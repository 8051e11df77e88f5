/**
 * What would happen to a request through a route, without sending it: whether the client may have
 * the route, and what its rules say. The worker decides with the same function.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { leaseForbidden } from "../../domain/Caller.ts"
import { policyRefusal } from "../../domain/Policy.ts"
import { type ProxyRoute, proxyWay } from "../../domain/ProxyRoute.ts"
import { makeRequestJudge } from "../../domain/proxyRules.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import { CurrentPolicy } from "../operations/CurrentPolicy.ts"
import { SecretStore } from "../secrets/SecretStore.ts"
import { findRoute } from "./openProxyRun.ts"

export const checkRoute = Effect.fn("checkRoute")(function* (
  name: string,
  clientId: string,
  method: string,
  target: string | undefined
) {
  const route = yield* findRoute(name, clientId)
  return {
    route,
    problem: yield* openingProblem(route, clientId),
    verdict: target === undefined ? undefined : makeRequestJudge([route])(method, target),
    warnings: warningsOf(route)
  }
})

/** Returns why the route could not be opened; undefined if it could. */
const openingProblem = Effect.fnUntraced(function* ({ secret: secretName }: ProxyRoute, clientId: string) {
  const secrets = yield* SecretStore
  const caller = yield* CurrentCaller
  const policy = (yield* CurrentPolicy).get()
  if (leaseForbidden(caller, secretName, true) !== undefined) {
    return { code: "AccessDenied", why: "the role of this socket does not permit it" }
  }
  const verdict = policy.decide({ secretName, clientId, via: proxyWay })
  // Which program it would be is not known yet.
  const isOfProgram = verdict._tag === "Refused" && verdict.key !== "via"
  const refusal = isOfProgram ? undefined : policyRefusal(verdict, secretName)
  if (refusal !== undefined) return { code: refusal.error._tag, why: refusal.error.message }
  const found = secrets.get(secretName)
  return Result.isFailure(found) ? { code: found.failure._tag, why: found.failure.message } : undefined
})

const warningsOf = ({ mask, methods, paths, preset, websocket }: ProxyRoute): ReadonlyArray<string> => [
  ...(preset === "github" && paths !== undefined && methods !== undefined
    ? ["the rules cannot narrow GraphQL, which has one path: narrow the token itself"]
    : []),
  ...(mask ? [] : ["the upstream's answers are not masked"]),
  ...(websocket ? ["the frames of WebSockets are not looked through"] : [])
]
