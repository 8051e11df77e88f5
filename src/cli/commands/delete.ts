/**
 * secrets delete: removes a secret and ends its leases.
 *
 * It does not ask, and never did; `--force` is taken for the scripts that pass it.
 */
import { quote } from "../../domain/goText.ts"
import { isLike, only } from "../../rpc/protocol/likeness.ts"
import { defineQuestion } from "../command/Question.ts"

export const deleteCommand = defineQuestion({
  name: "delete",
  summary: "Remove a secret and end its leases",
  operands: "NAME",
  arity: [1, 1],
  completes: "secret",
  flags: { force: { type: "boolean" } },
  examples: ["secrets delete github_token"],
  ask: (line) => [{ method: "secrets.delete", params: { name: line.operands[0] ?? "" } }],
  tell: ([deleted], { line }) => {
    const [name = ""] = line.operands
    return isLike(deleted, { success: only(true) }) ? { text: `deleted ${quote(name)}\n`, result: { name } } : undefined
  }
})
