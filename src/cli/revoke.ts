/**
 * secrets revoke: ends one lease. More of them are ended by `revokeMany`.
 */
import { isLike } from "./likeness.ts"
import { misuse } from "./Output.ts"
import { defineQuestion } from "./Question.ts"

export const revoke = defineQuestion({
  name: "revoke",
  summary: "End a lease, or all of them",
  operands: "[LEASE_ID]",
  arity: [0, 1],
  flags: {
    all: { type: "boolean", summary: "the killswitch: end every active lease" },
    rotate: { type: "boolean", summary: "with --all: rotate every secret that can be" },
    wipe: { type: "boolean", summary: "with --all: remove every secret and the backup of the store" }
  },
  examples: ["secrets revoke 57e7cffb-eaea-424f-93dc-a3d421c94118", "secrets revoke --all"],
  ask: (line) => {
    const [id] = line.operands
    if (line.given("all")) return undefined
    if (line.given("rotate") || line.given("wipe")) {
      return misuse("--rotate and --wipe go with --all", "secrets revoke --help")
    }
    return id === undefined
      ? misuse("no lease is named", "Name its id, or end all: secrets revoke --all")
      : [{ method: "secrets.revoke", params: { lease_id: id } }]
  },
  tell: ([revoked], { line }) =>
    isLike(revoked, { success: true })
      ? { text: `revoked ${line.operands[0]}\n`, result: { lease_id: line.operands[0] } }
      : undefined
})
