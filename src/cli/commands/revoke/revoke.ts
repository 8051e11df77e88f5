/**
 * secrets revoke: ends one lease. More of them are ended by `revokeMany`.
 */
import { matchesShape, literal } from "../../../rpc/protocol/shape.ts"
import { usageError } from "../../command/Output.ts"
import { defineQuery } from "../../command/QueryCommand.ts"

export const revokeCommand = defineQuery({
  name: "revoke",
  summary: "End a lease, those of a client or a secret, or all",
  positionals: "[LEASE_ID]",
  arity: [0, 1],
  completes: "lease",
  flags: {
    client: { type: "string", value: "ID", summary: "end every lease of this client", completes: "client" },
    secret: { type: "string", value: "NAME", summary: "end every lease of this secret", completes: "secret" },
    all: { type: "boolean", summary: "the killswitch: end every active lease" },
    rotate: { type: "boolean", summary: "with --all: rotate every secret that can be" },
    wipe: { type: "boolean", summary: "with --all: remove every secret and the backup of the store" }
  },
  examples: [
    "secrets revoke 57e7cffb-eaea-424f-93dc-a3d421c94118",
    "secrets revoke --client deploy --secret github_token",
    "secrets revoke --all"
  ],
  about: "With --client and --secret together, those leases end that match both; that there are none is no failure.",
  requests: (args) => {
    const [id] = args.positionals
    const [client, secret] = [args.option("client"), args.option("secret")]
    const isFiltered = client !== undefined || secret !== undefined
    if (args.flag("all")) {
      if (isFiltered) return usageError("--all does not go with --client or --secret", choose)
      return id === undefined ? undefined : usageError("a lease is named, and --all as well", choose)
    }
    if (args.flag("rotate") || args.flag("wipe")) {
      return usageError("--rotate and --wipe go with --all", "secrets revoke --help")
    }
    if (isFiltered) {
      if (id !== undefined) return usageError("a lease is named, and --client or --secret as well", choose)
      if (client === "" || secret === "") return usageError("--client and --secret need a name", choose)
      return [{ method: "secrets.revokeMatching", params: { client_id: client, secret_name: secret } }]
    }
    return id === undefined
      ? usageError("no lease is named", "Name its id, or end all: secrets revoke --all")
      : [{ method: "secrets.revoke", params: { lease_id: id } }]
  },
  render: ([revoked], { args }) => {
    if (args.positionals.length === 0) {
      return matchesShape(revoked, { success: literal(true), leases_revoked: 0 })
        ? { text: `revoked ${revoked.leases_revoked} leases\n`, result: { leases_revoked: revoked.leases_revoked } }
        : undefined
    }
    return matchesShape(revoked, { success: literal(true) })
      ? { text: `revoked ${args.positionals[0]}\n`, result: { lease_id: args.positionals[0] } }
      : undefined
  }
})

const choose = "One of these: an id, --client and --secret, or --all"
