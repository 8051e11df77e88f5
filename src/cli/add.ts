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
import { checkRotation, givenValue, secretFlags } from "./secretFlags.ts"
import { loadDaemon } from "./settings.ts"

const Added = Schema.Struct({ success: Schema.Literal(true) })

export const add = define({
  name: "add",
  summary: "Add a secret to the store",
  operands: "NAME",
  arity: [1, 1],
  flags: {
    ...secretFlags,
    force: { type: "boolean", summary: "take a name that is hard to type" }
  },
  examples: ["secrets add github_token", "secrets add tls_key < key.pem"],
  run: Effect.fnUntraced(function* (line) {
    const [name = ""] = line.operands
    if (name === "")
      return yield* misuse("the name of a secret cannot be empty", "For instance: secrets add github_token")
    if (isHardToType(name) && !line.given("force")) {
      return yield* misuse(
        `the name ${quote(name)} begins with a dash or holds control characters`,
        "Choose another, or insist with --force"
      )
    }
    yield* checkRotation(line)
    const daemon = yield* loadDaemon(line)
    const value = yield* givenValue(line, name)
    const rotateVia = line.text("rotate-via") ?? ""
    const hook = rotateVia === "" ? {} : { rotate_via: rotateVia, rotate_stdout: line.given("rotate-stdout") }
    const params = { name, value, ...hook }
    yield* Effect.mapError(call(daemon, "secrets.add", params, Added), fromClient)
    return { text: `added ${quote(name)}\n`, result: { name, rotate_via: rotateVia } }
  })
})

/** The daemon takes such names, for callers that have them; people do not want them. */
const isHardToType = (name: string): boolean => /^-|\p{Cc}/u.test(name)
