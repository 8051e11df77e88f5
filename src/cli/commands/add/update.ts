/**
 * secrets update: replaces the value of an existing secret and, if one is given, its
 * rotation command. Active leases keep the value they were granted for.
 */
import * as Effect from "effect/Effect"
import { quote } from "../../../domain/goText.ts"
import { call } from "../../../rpc/client/client.ts"
import { literal } from "../../../rpc/protocol/shape.ts"
import { defineCommand } from "../../command/Command.ts"
import { fromClient } from "../../command/CommandError.ts"
import { loadDaemon } from "../../command/settings.ts"
import { aboutValues, checkRotationFlags, secretFlags, valueFromArgs } from "./readValue.ts"

const updatedExample = { success: literal(true) }

export const updateCommand = defineCommand({
  name: "update",
  summary: "Change the value of a secret",
  positionals: "NAME",
  arity: [1, 1],
  completes: "secret",
  flags: {
    ...secretFlags,
    "rotate-via": { type: "string", value: "COMMAND", summary: "set the command that rotates it; '' removes it" }
  },
  examples: ["secrets update github_token", "generate-token | secrets update github_token"],
  about: aboutValues,
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
    return { lines: [`updated ${quote(name)}`], result: { name } }
  })
})
