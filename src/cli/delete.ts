/**
 * secrets delete: removes a secret and ends its leases.
 *
 * It does not ask, and never did; `--force` is taken for the scripts that pass it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { quote } from "../domain/goText.ts"
import { call } from "../rpc/client.ts"
import { define } from "./Command.ts"
import { fromClient } from "./Failure.ts"
import { loadDaemon } from "./settings.ts"

const Deleted = Schema.Struct({ success: Schema.Literal(true) })

export const deleteCommand = define({
  name: "delete",
  summary: "Remove a secret and end its leases",
  operands: "NAME",
  arity: [1, 1],
  completes: "secret",
  flags: { force: { type: "boolean" } },
  examples: ["secrets delete github_token"],
  run: Effect.fnUntraced(function* (line) {
    const [name = ""] = line.operands
    const daemon = yield* loadDaemon(line)
    yield* Effect.mapError(call(daemon, "secrets.delete", { name }, Deleted), fromClient)
    return { text: `deleted ${quote(name)}\n`, result: { name } }
  })
})
