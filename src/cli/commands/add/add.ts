/**
 * secrets add: a new secret, its value from a pipe, a prompt, a file or `--value`; or
 * all that a dotenv file has (`addMany`).
 *
 * From a pipe or a file the value is everything, byte for byte, but for one line feed
 * at the end; keys of many lines stay whole. A value is never part of a message.
 */
import * as Effect from "effect/Effect"
import { quote } from "../../../domain/goText.ts"
import { call } from "../../../rpc/client/client.ts"
import { literal } from "../../../rpc/protocol/shape.ts"
import { addMany } from "./addMany.ts"
import { defineCommand } from "../../command/Command.ts"
import { fromClient, failUsage } from "../../command/CommandError.ts"
import { checkRotationFlags, valueFromArgs, secretFlags } from "./secretFlags.ts"
import { loadDaemon } from "../../command/settings.ts"

const addedExample = { success: literal(true) }

export const addCommand = defineCommand({
  name: "add",
  summary: "Add a secret to the store",
  positionals: "[NAME]",
  arity: [0, 1],
  flags: {
    ...secretFlags,
    "from-env": { type: "string", value: "PATH", summary: "add each variable of a dotenv file", completes: "file" },
    prefix: { type: "string", value: "TEXT", summary: "with --from-env: what stands before each name" },
    update: { type: "boolean", summary: "with --from-env: new values for those that are there" },
    force: { type: "boolean", summary: "take a name that is hard to type" }
  },
  examples: ["secrets add github_token", "secrets add tls_key --file key.pem", "secrets add --from-env .env --update"],
  run: Effect.fnUntraced(function* (args) {
    const [name = ""] = args.positionals
    const file = args.option("from-env")
    if (file !== undefined) {
      if (args.positionals.length > 0 || ofOneSecret.some((flag) => args.option(flag) !== undefined)) {
        return yield* failUsage("--from-env takes names and values from the file alone", "secrets add --from-env PATH")
      }
      const batch = { file, prefix: args.option("prefix") ?? "", update: args.flag("update") || args.flag("force") }
      return yield* addMany(yield* loadDaemon(args), batch)
    }
    if (args.positionals.length === 0)
      return yield* failUsage("no secret is named", "For instance: secrets add github_token")
    if (args.flag("update") || args.option("prefix") !== undefined) {
      return yield* failUsage("--update and --prefix go with --from-env", "To change a secret: secrets update NAME")
    }
    if (name === "")
      return yield* failUsage("the name of a secret cannot be empty", "For instance: secrets add github_token")
    if (isHardToType(name) && !args.flag("force")) {
      return yield* failUsage(
        `the name ${quote(name)} begins with a dash or holds control characters`,
        "Choose another, or insist with --force"
      )
    }
    yield* checkRotationFlags(args)
    const daemon = yield* loadDaemon(args)
    const value = yield* valueFromArgs(args, name)
    const rotateVia = args.option("rotate-via") ?? ""
    const hook = rotateVia === "" ? {} : { rotate_via: rotateVia, rotate_stdout: args.flag("rotate-stdout") }
    const params = { name, value, ...hook }
    yield* Effect.mapError(call(daemon, "secrets.add", params, addedExample), fromClient)
    return { text: `added ${quote(name)}\n`, result: { name, rotate_via: rotateVia } }
  })
})

const ofOneSecret = ["value", "file", "rotate-via"] as const

/** The daemon takes such names, for callers that have them; people do not want them. */
const isHardToType = (name: string): boolean => /^-|\p{Cc}/u.test(name)
