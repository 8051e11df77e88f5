/**
 * secrets update: a new value for a secret that is there, and a new command to
 * rotate it if one is given. Leases keep the value they were granted for.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { quote } from "../domain/goText.ts"
import { call } from "../rpc/client.ts"
import { define } from "./Command.ts"
import { fromClient, misuse } from "./Failure.ts"
import { readValue } from "./readValue.ts"
import { loadDaemon } from "./settings.ts"

const Updated = Schema.Struct({ success: Schema.Literal(true) })

export const update = define({
  name: "update",
  summary: "Give a secret a new value",
  operands: "NAME",
  arity: [1, 1],
  flags: {
    value: { type: "string", value: "VALUE", summary: "the value; others can see it in the list of processes" },
    "rotate-via": { type: "string", value: "COMMAND", summary: "the command that rotates it from now on; '' for none" },
    "rotate-stdout": { type: "boolean", summary: "what that command prints becomes the new value" }
  },
  examples: ["secrets update github_token", "new-token | secrets update github_token"],
  run: Effect.fnUntraced(function* (line) {
    const [name = ""] = line.operands
    const rotateVia = line.text("rotate-via")
    if (line.given("rotate-stdout") && !rotateVia) {
      return yield* misuse("--rotate-stdout needs a command", "Give it with --rotate-via COMMAND")
    }
    const daemon = yield* loadDaemon(line)
    const value = line.text("value") ?? (yield* readValue(name))
    if (value === "") return yield* misuse("the value of a secret cannot be empty", "Give it on standard input")
    const hook =
      rotateVia === undefined
        ? {}
        : { rotate_via: rotateVia, rotate_via_set: true, rotate_stdout: line.given("rotate-stdout") }
    yield* Effect.mapError(call(daemon, "secrets.update", { name, value, ...hook }, Updated), fromClient)
    return { text: `updated ${quote(name)}\n`, result: { name } }
  })
})
