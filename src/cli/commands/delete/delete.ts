/**
 * secrets delete: removes a secret and revokes its leases.
 *
 * It asks a person first. A script is not asked; `--force` is what the predecessor's pass.
 */
import { quote } from "../../../domain/goText.ts"
import { matchesShape, literal } from "../../../domain/shape.ts"
import { defineQuery } from "../../command/QueryCommand.ts"
import { isInteractive } from "../../terminal/isInteractive.ts"

export const deleteCommand = defineQuery({
  name: "delete",
  summary: "Delete a secret and revoke its leases",
  positionals: "NAME",
  arity: [1, 1],
  completes: "secret",
  flags: {
    yes: { type: "boolean", short: "y", summary: "do not ask; without a terminal nothing is asked" },
    force: { type: "boolean" }
  },
  examples: ["secrets delete github_token", "secrets delete github_token --yes"],
  requests: (args) =>
    !args.flag("yes") && !args.flag("force") && isInteractive()
      ? undefined
      : [{ method: "secrets.delete", params: { name: args.positionals[0] ?? "" } }],
  render: ([deleted], { args }) => {
    const [name = ""] = args.positionals
    return matchesShape(deleted, { success: literal(true) })
      ? { lines: [`deleted ${quote(name)}`], result: { name } }
      : undefined
  }
})
