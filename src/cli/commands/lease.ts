/**
 * secrets lease: the value of a secret on standard output, and nothing else.
 *
 * Callers take standard output for the credential and half of them look at nothing
 * else, so on any failure there is nothing on it.
 */
import { isLike } from "../../rpc/protocol/likeness.ts"
import { defineQuestion } from "../command/Question.ts"

export const lease = defineQuestion({
  name: "lease",
  summary: "Print the value of a secret, leased for a time",
  operands: "NAME",
  arity: [1, 1],
  completes: "secret",
  flags: {
    ttl: { type: "string", value: "DURATION", summary: "how long, such as 30m or 24h (1h)" },
    "client-id": {
      type: "string",
      value: "ID",
      summary: "who asks; one client holds one lease of a secret (host name)",
      completes: "client"
    },
    raw: { type: "boolean" }
  },
  examples: ["secrets lease github_token", "secrets lease github_token --ttl 15m --client-id deploy"],
  ask: (line) => [
    {
      method: "secrets.lease",
      params: { secret_name: line.operands[0], client_id: clientOf(line), ttl: line.text("ttl") ?? "" }
    }
  ],
  tell: ([leased], { line }) =>
    isLike(leased, { lease_id: "", value: "", expires_at: "" })
      ? {
          text: leased.value,
          result: {
            value: leased.value,
            lease_id: leased.lease_id,
            expires_at: leased.expires_at,
            secret_name: line.operands[0],
            client_id: clientOf(line)
          }
        }
      : undefined
})

/** Who asks, when the line does not say it: the host. */
export const clientOf = (line: { readonly text: (flag: "client-id") => string | undefined }): string =>
  line.text("client-id") ?? hostName()

/** Node has to make its module of this first, and most commands that only ask do without. */
export const hostName = (): string => process.getBuiltinModule("node:os").hostname() || "unknown"
