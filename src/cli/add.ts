/**
 * secrets add: a new secret, its value from a pipe, a prompt or `--value`.
 *
 * From a pipe the value is everything, byte for byte, but for one line feed at the
 * end; keys of many lines stay whole. A value is never part of a message.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { quote } from "../domain/goText.ts"
import { call } from "../rpc/client.ts"
import { define } from "./Command.ts"
import { fromClient, misuse } from "./Failure.ts"
import { readValue } from "./readValue.ts"
import { loadDaemon } from "./settings.ts"

const Added = Schema.Struct({ success: Schema.Literal(true) })

export const add = define({
  name: "add",
  summary: "Add a secret to the store",
  operands: "NAME",
  arity: [1, 1],
  flags: {
    value: { type: "string", value: "VALUE", summary: "the value; others can see it in the list of processes" },
    "rotate-via": { type: "string", value: "COMMAND", summary: "the command that rotates the secret" }
  },
  examples: ["secrets add github_token", "secrets add tls_key < key.pem"],
  run: Effect.fnUntraced(function* (line) {
    const [name = ""] = line.operands
    if (name === "")
      return yield* misuse("the name of a secret cannot be empty", "For instance: secrets add github_token")
    const daemon = yield* loadDaemon(line)
    const value = line.text("value") ?? (yield* readValue(name))
    if (value === "") return yield* misuse("the value of a secret cannot be empty", "Give it on standard input")
    const rotateVia = line.text("rotate-via") ?? ""
    const params = { name, value, ...(rotateVia === "" ? {} : { rotate_via: rotateVia }) }
    yield* Effect.mapError(call(daemon, "secrets.add", params, Added), fromClient)
    return { text: `added ${quote(name)}\n`, result: { name, rotate_via: rotateVia } }
  })
})
