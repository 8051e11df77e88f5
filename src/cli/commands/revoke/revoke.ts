/**
 * secrets revoke: ends one lease. More of them are ended by `revokeMany`.
 */
import { isLike, only } from "../../../rpc/protocol/likeness.ts"
import { misuse } from "../../command/Output.ts"
import { defineQuestion } from "../../command/Question.ts"

export const revoke = defineQuestion({
  name: "revoke",
  summary: "End a lease, those of a client or a secret, or all",
  operands: "[LEASE_ID]",
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
  ask: (line) => {
    const [id] = line.operands
    const [client, secret] = [line.text("client"), line.text("secret")]
    const isFiltered = client !== undefined || secret !== undefined
    if (line.given("all")) {
      if (isFiltered) return misuse("--all does not go with --client or --secret", choose)
      return id === undefined ? undefined : misuse("a lease is named, and --all as well", choose)
    }
    if (line.given("rotate") || line.given("wipe")) {
      return misuse("--rotate and --wipe go with --all", "secrets revoke --help")
    }
    if (isFiltered) {
      if (id !== undefined) return misuse("a lease is named, and --client or --secret as well", choose)
      if (client === "" || secret === "") return misuse("--client and --secret need a name", choose)
      return [{ method: "secrets.revokeMatching", params: { client_id: client, secret_name: secret } }]
    }
    return id === undefined
      ? misuse("no lease is named", "Name its id, or end all: secrets revoke --all")
      : [{ method: "secrets.revoke", params: { lease_id: id } }]
  },
  tell: ([revoked], { line }) => {
    if (line.operands.length === 0) {
      return isLike(revoked, { success: only(true), leases_revoked: 0 })
        ? { text: `revoked ${revoked.leases_revoked} leases\n`, result: { leases_revoked: revoked.leases_revoked } }
        : undefined
    }
    return isLike(revoked, { success: only(true) })
      ? { text: `revoked ${line.operands[0]}\n`, result: { lease_id: line.operands[0] } }
      : undefined
  }
})

const choose = "One of these: an id, --client and --secret, or --all"
