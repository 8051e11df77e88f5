/**
 * The method about the policy: what it says about a use, without a lease.
 */
import * as Effect from "effect/Effect"
import { CurrentLimits } from "../../../daemon/operations/leaseRules.ts"
import { isApproved } from "../../../daemon/operations/requests.ts"
import { CurrentPolicy } from "../../../daemon/operations/CurrentPolicy.ts"
import { formatGoDuration } from "../../../domain/GoDuration.ts"
import { spanOf, spanText } from "../../../domain/OpenRequest.ts"
import { policyRefusal, ttlWithin } from "../../../domain/Policy.ts"
import { originFields, readOrigin } from "../leaseOrigin.ts"
import { readParams, required } from "../params.ts"

const explainParams = readParams("ExplainPolicyParams", { secret_name: "string", client_id: "string", ...originFields })

export const policyHandlers = {
  /** Beyond the predecessor. It says the same whether the secret exists or not. */
  "secrets.explainPolicy": Effect.fnUntraced(function* (raw: unknown) {
    const params = yield* explainParams(raw)
    yield* required(params.secret_name, "secret_name")
    yield* required(params.client_id, "client_id")
    const origin = yield* readOrigin(params)
    const policy = (yield* CurrentPolicy).get()
    const { ttl } = yield* CurrentLimits
    const verdict = policy.decide({ secretName: params.secret_name, clientId: params.client_id, ...origin })
    const refusal = policyRefusal(verdict, params.secret_name)
    const limits = ttlWithin(ttl, verdict)
    const approval = verdict._tag === "Permitted" ? verdict.approval : undefined
    const asked = { secretName: params.secret_name, clientId: params.client_id, ...origin }
    return {
      verdict: verdict._tag.toLowerCase(),
      rule: verdict.rule,
      rules: policy.rules.length,
      why: refusal === undefined ? undefined : verdict._tag === "Refused" ? verdict.why : refusal.details,
      max_ttl: refusal === undefined ? formatGoDuration(limits.maximum) : undefined,
      approval: approval === undefined ? undefined : spanText(spanOf(approval)),
      approval_state:
        approval === undefined ? "none" : (yield* isApproved(asked, limits.default, approval)) ? "granted" : "needed"
    }
  })
}
