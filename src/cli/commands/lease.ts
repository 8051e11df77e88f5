/**
 * secrets lease: prints the value of a secret on standard output and nothing else.
 *
 * Callers use standard output as the credential, often without checking the exit
 * status, so a failure prints nothing there. On a terminal a line feed follows, which keeps
 * the next prompt apart.
 */
import { inGoUnits, ttlProblem } from "../../domain/spelledDuration.ts"
import { matchesShape } from "../../domain/shape.ts"
import { defaultClientId } from "../command/daemonAddress.ts"
import type { GlobalArgs } from "../command/settingsFile.ts"
import { approvalWaitError, approvalWaitFlag, originOf, reasonFlag } from "../command/leaseOrigin.ts"
import { usageError } from "../command/Output.ts"
import { defineQuery } from "../command/QueryCommand.ts"
import { printsToTerminal } from "../terminal/isInteractive.ts"

const leasedExample = { lease_id: "", value: "", expires_at: "" }

export const leaseCommand = defineQuery({
  name: "lease",
  summary: "Lease a secret and print its value",
  positionals: "NAME",
  arity: [1, 1],
  completes: "secret",
  flags: {
    ttl: { type: "string", value: "DURATION", summary: "duration of the lease, such as 30m, 24h or 1d (1h)" },
    "client-id": {
      type: "string",
      value: "ID",
      summary:
        "name of the client, which holds one lease per secret (AGENT_SECRETS_CLIENT_ID, client_id of config.json, or the host name)",
      completes: "client"
    },
    reason: reasonFlag,
    "approval-wait": approvalWaitFlag,
    raw: { type: "boolean" }
  },
  examples: ["secrets lease github_token", "secrets lease github_token --ttl 15m --client-id deploy"],
  requests: (args) => {
    const ttl = inGoUnits(args.option("ttl") ?? "")
    const wrong = ttlProblem(ttl)
    if (wrong !== undefined) return usageError(wrong, "For example: --ttl 30m")
    const wrongWait = approvalWaitError(args.option("approval-wait"))
    if (wrongWait !== undefined) return wrongWait
    const clientId = clientIdOf(args)
    if (typeof clientId !== "string") return clientId
    return [
      {
        method: "secrets.lease",
        params: { secret_name: args.positionals[0], client_id: clientId, ttl, ...originOf({}, args.option("reason")) }
      }
    ]
  },
  undo: ([leased]) =>
    matchesShape(leased, leasedExample)
      ? { method: "secrets.revoke", params: { lease_id: leased.lease_id } }
      : undefined,
  approvalWait: (args) => args.option("approval-wait"),
  render: ([leased], { args }) => {
    if (!matchesShape(leased, leasedExample)) return undefined
    const { expires_at, lease_id, value } = leased
    return {
      verbatim: value + (printsToTerminal() && !value.endsWith("\n") ? "\n" : ""),
      result: { value, lease_id, expires_at, secret_name: args.positionals[0], client_id: clientIdOf(args) },
      // joelclaw reads them there.
      beside: { lease_id, expires_at }
    }
  }
})

const clientIdOf = (args: GlobalArgs & { readonly option: (flag: "client-id") => string | undefined }) =>
  args.option("client-id") ?? defaultClientId(args)
