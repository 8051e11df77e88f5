/**
 * secrets revoke: revokes one lease, or those of a client or a secret. `--all`
 * is the killswitch.
 */
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { matchesShape, literal, optional } from "../../../rpc/protocol/shape.ts"
import { usageError } from "../../command/Output.ts"
import { defineQuery } from "../../command/QueryCommand.ts"

export const revokeCommand = defineQuery({
  name: "revoke",
  summary: "Revoke one lease, those of a client or a secret, or all",
  positionals: "[LEASE_ID]",
  arity: [0, 1],
  completes: "lease",
  flags: {
    "client-id": {
      type: "string",
      value: "ID",
      summary: "revoke every lease of this client",
      completes: "client",
      formerly: "client"
    },
    secret: { type: "string", value: "NAME", summary: "revoke every lease of this secret", completes: "secret" },
    all: { type: "boolean", summary: "the killswitch: revoke every active lease" },
    rotate: { type: "boolean", summary: "with --all: also rotate every secret that has a rotation command" },
    wipe: { type: "boolean", summary: "with --all: also delete every secret, the backup of the store and its key" },
    yes: { type: "boolean", short: "y", summary: "with --wipe: do not ask; without a terminal nothing is asked" }
  },
  examples: [
    "secrets revoke 57e7cffb",
    "secrets revoke --client-id deploy --secret github_token",
    "secrets revoke --all"
  ],
  about:
    "Four characters of LEASE_ID or more are enough, if they are the beginning of one active lease. " +
    "With --client-id and --secret, revokes leases that match both. Matching none is not an error.\n\n" +
    "A value works until its provider changes it. --all lists those to rotate; secrets lock stops new leases.",
  requests: (args) => {
    const [id] = args.positionals
    const [client, secret] = [args.option("client-id"), args.option("secret")]
    const isFiltered = client !== undefined || secret !== undefined
    if (args.flag("all")) {
      if (isFiltered) return usageError("--all excludes --client-id and --secret", choose)
      return id === undefined ? undefined : usageError("--all excludes LEASE_ID", choose)
    }
    if (args.flag("rotate") || args.flag("wipe")) {
      return usageError("--rotate and --wipe require --all", "secrets revoke --help")
    }
    if (isFiltered) {
      if (id !== undefined) return usageError("LEASE_ID excludes --client-id and --secret", choose)
      if (client === "" || secret === "") return usageError("--client-id and --secret cannot be empty", choose)
      return [{ method: "secrets.revokeMatching", params: { client_id: client, secret_name: secret } }]
    }
    return id === undefined
      ? usageError("LEASE_ID is missing", "Give the id of a lease (secrets leases), --client-id, --secret or --all")
      : [{ method: "secrets.revoke", params: { lease_id: id, prefix: true } }]
  },
  render: ([revoked], { args }) => {
    if (args.positionals.length === 0) {
      return matchesShape(revoked, { success: literal(true), leases_revoked: 0 })
        ? {
            lines: [`revoked ${counted(revoked.leases_revoked, "lease")}`],
            result: { leases_revoked: revoked.leases_revoked }
          }
        : undefined
    }
    if (!matchesShape(revoked, { success: literal(true), lease_id: optional("") })) return undefined
    const id = revoked.lease_id ?? args.positionals[0] ?? ""
    return { lines: [`revoked ${escapeValue(id)}`], result: { lease_id: id } }
  }
})

const choose = "Use one of: LEASE_ID, --client-id and --secret, --all"
