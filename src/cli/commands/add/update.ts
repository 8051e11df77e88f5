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
  run: Effect.fnUntraced(function* (line) {
    const [name = ""] = line.positionals
    yield* checkRotationFlags(line)
    const daemon = yield* loadDaemon(line)
    const value = yield* valueFromArgs(line, name)
    const rotateVia = line.option("rotate-via")
    const hook =
      rotateVia === undefined
        ? {}
        : { rotate_via: rotateVia, rotate_via_set: true, rotate_stdout: line.flag("rotate-stdout") }
    yield* Effect.mapError(call(daemon, "secrets.update", { name, value, ...hook }, updatedExample), fromClient)
    return { text: `updated ${quote(name)}\n`, result: { name } }
  })
})
