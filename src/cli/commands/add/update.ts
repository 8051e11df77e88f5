/**
 * secrets update: a new value for a secret that is there, and a new command to
 * rotate it if one is given. Leases keep the value they were granted for.
 */
import * as Effect from "effect/Effect"
import { quote } from "../../../domain/goText.ts"
import { call } from "../../../rpc/client/client.ts"
import { literal } from "../../../rpc/protocol/shape.ts"
import { defineCommand } from "../../command/Command.ts"
import { fromClient } from "../../command/CommandError.ts"
import { checkRotationFlags, valueFromArgs, secretFlags } from "./secretFlags.ts"
import { loadDaemon } from "../../command/settings.ts"

const updatedExample = { success: literal(true) }

export const updateCommand = defineCommand({
  name: "update",
  summary: "Give a secret a new value",
  positionals: "NAME",
  arity: [1, 1],
  completes: "secret",
  flags: {
    ...secretFlags,
    "rotate-via": { type: "string", value: "COMMAND", summary: "the command that rotates it from now on; '' for none" }
  },
  examples: ["secrets update github_token", "new-token | secrets update github_token"],
  run: Effect.fnUntraced(function* (args) {
    const [name = ""] = args.positionals
    yield* checkRotationFlags(args)
    const daemon = yield* loadDaemon(args)
    const value = yield* valueFromArgs(args, name)
    const rotateVia = args.option("rotate-via")
    const hook =
      rotateVia === undefined
        ? {}
        : { rotate_via: rotateVia, rotate_via_set: true, rotate_stdout: args.flag("rotate-stdout") }
    yield* Effect.mapError(call(daemon, "secrets.update", { name, value, ...hook }, updatedExample), fromClient)
    return { text: `updated ${quote(name)}\n`, result: { name } }
  })
})
