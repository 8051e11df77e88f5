/**
 * headers: a JSON object with the header Authorization, for clients of HTTP servers such as Claude
 * Code's `headersHelper`.
 */
import { type HelperPlan, type HelperProtocol, leaseOne } from "../Protocol.ts"

export const headers: HelperProtocol = {
  takesName: true,
  plan: ({ name, words }): HelperPlan => {
    const secret = name ?? words[0] ?? ""
    return leaseOne(secret, { secret }, (value) => `${JSON.stringify({ Authorization: `Bearer ${value}` })}\n`)
  }
}
