/**
 * secrets lease: the value of a secret on standard output, and nothing else.
 *
 * Callers take standard output for the credential and half of them look at nothing
 * else, so on any failure there is nothing on it.
 */
import { matchesShape } from "../../rpc/protocol/shape.ts"
import { defineQuery } from "../command/QueryCommand.ts"

export const leaseCommand = defineQuery({
  name: "lease",
  summary: "Print the value of a secret, leased for a time",
  positionals: "NAME",
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
  requests: (args) => [
    {
      method: "secrets.lease",
      params: { secret_name: args.positionals[0], client_id: clientIdOf(args), ttl: args.option("ttl") ?? "" }
    }
  ],
  render: ([leased], { args }) =>
    matchesShape(leased, { lease_id: "", value: "", expires_at: "" })
      ? {
          text: leased.value,
          result: {
            value: leased.value,
            lease_id: leased.lease_id,
            expires_at: leased.expires_at,
            secret_name: args.positionals[0],
            client_id: clientIdOf(args)
          }
        }
      : undefined
})

/** Who asks, when the line does not say it: the host. */
export const clientIdOf = (args: { readonly option: (flag: "client-id") => string | undefined }): string =>
  args.option("client-id") ?? hostName()

/** Node has to make its module of this first, and most commands that only ask do without. */
export const hostName = (): string => process.getBuiltinModule("node:os").hostname() || "unknown"
