/**
 * terraform: a credentials helper of Terraform and OpenTofu, called with an action and a host.
 */
import { exitStatus } from "../../../../domain/exitStatus.ts"
import { parseTargetUrl } from "../../../../domain/targetUrl.ts"
import type { Problem } from "../../../command/Output.ts"
import { answer, type HelperPlan, type HelperProtocol, leaseOne } from "../Protocol.ts"

const kept: Problem = {
  message: "tokens are kept by agent-secrets",
  fix: "Use: secrets update NAME",
  code: "misuse",
  exitStatus: exitStatus.failed
}

export const terraform: HelperProtocol = {
  plan: ({ name, targets, words }): HelperPlan => {
    const [action, host = ""] = words.slice(-2)
    if (action === "store" || action === "forget") return { kind: "problem", problem: kept }
    const asked = parseTargetUrl(`https://${host}`)?.host
    const [key, found] =
      Object.entries(targets?.terraform ?? {}).find(([one]) => parseTargetUrl(`https://${one}`)?.host === asked) ?? []
    const target = name === undefined ? found : { secret: name }
    if (action !== "get" || asked === undefined || target === undefined) return answer("{}\n")
    return leaseOne(key ?? asked, target, (token) => `${JSON.stringify({ token })}\n`)
  }
}
