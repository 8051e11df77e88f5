/**
 * secrets list: prints the names in the store, never the values.
 */
import { matchesShape, optional } from "../../rpc/protocol/shape.ts"
import { defineQuery } from "../command/QueryCommand.ts"
import { table } from "../terminal/table.ts"

const listedExample = { secrets: [{ name: "", rotate_via: optional(""), active_leases: optional(0) }] }

export const listCommand = defineQuery({
  name: "list",
  summary: "Show the names of all secrets and their active leases",
  arity: [0, 0],
  flags: {},
  examples: ["secrets list", "secrets list --json"],
  requests: () => [{ method: "secrets.list", params: {} }],
  render: ([listed]) => {
    if (!matchesShape(listed, listedExample)) return undefined
    const { secrets } = listed
    const rows = secrets.map((secret) => [
      secret.name,
      `${secret.active_leases ?? 0}`,
      secret.rotate_via === undefined ? "" : "yes"
    ])
    return {
      lines:
        rows.length === 0
          ? ["no secrets; add one with: secrets add NAME"]
          : table(["NAME", "LEASES", "ROTATES"], rows, { whole: ["NAME"] }),
      result: {
        secrets: secrets.map((secret) => ({
          name: secret.name,
          has_rotation: secret.rotate_via !== undefined,
          active_leases: secret.active_leases ?? 0
        })),
        count: secrets.length
      }
    }
  }
})
