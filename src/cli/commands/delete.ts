/**
 * secrets delete: removes a secret and revokes its leases.
 *
 * It never asks for confirmation; `--force` is accepted because scripts pass it.
 */
import { quote } from "../../domain/goText.ts"
import { matchesShape, literal } from "../../rpc/protocol/shape.ts"
import { defineQuery } from "../command/QueryCommand.ts"

export const deleteCommand = defineQuery({
  name: "delete",
  summary: "Delete a secret and revoke its leases",
  positionals: "NAME",
  arity: [1, 1],
  completes: "secret",
  flags: { force: { type: "boolean" } },
  examples: ["secrets delete github_token"],
  requests: (args) => [{ method: "secrets.delete", params: { name: args.positionals[0] ?? "" } }],
  render: ([deleted], { args }) => {
    const [name = ""] = args.positionals
    return matchesShape(deleted, { success: literal(true) })
      ? { lines: [`deleted ${quote(name)}`], result: { name } }
      : undefined
  }
})
