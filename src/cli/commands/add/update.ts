/**
 * secrets update: replaces the value of an existing secret, and its rotation command or its
 * description if they are given, or that only the proxy may use it; with one of those alone, the value stays. Active leases keep
 * the value they were granted for.
 */
import * as Effect from "effect/Effect"
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { quote } from "../../../domain/goText.ts"
import { literal, optional, type Shaped } from "../../../domain/shape.ts"
import { callForSecret } from "../../command/callForSecret.ts"
import { defineCommand } from "../../command/Command.ts"
import { lookBeforeAsking } from "../../command/lookBeforeAsking.ts"
import { loadDaemon } from "../../command/settings.ts"
import {
  aboutValues,
  asksForValue,
  checkRotationFlags,
  newValueFromArgs,
  secretFlags,
  valueFromArgs
} from "./readValue.ts"

const updatedExample = {
  success: literal(true),
  leases_of_old_value: optional(0),
  clients_of_old_value: optional([""])
}

export const updateCommand = defineCommand({
  name: "update",
  summary: "Change the value of a secret, its rotation command or its description",
  positionals: "NAME",
  arity: [1, 1],
  completes: "secret",
  flags: {
    ...secretFlags,
    "rotate-via": { type: "string", value: "COMMAND", summary: "set the command that rotates it; '' removes it" }
  },
  examples: [
    "secrets update github_token",
    "generate-token | secrets update github_token",
    "secrets update github_token --rotate-via ./rotate-token --rotate-stdout",
    "secrets update github_token --description staging"
  ],
  about:
    `${aboutValues} ` +
    "With --rotate-via, --description or --proxy-only the value stays, unless --value, --file or a pipe brings a new one. " +
    "Programs that lease the secret keep the value they got; the command prints who they are.",
  run: Effect.fnUntraced(function* (args) {
    const [name = ""] = args.positionals
    yield* checkRotationFlags(args)
    const daemon = yield* loadDaemon(args)
    const [rotateVia, description] = [args.option("rotate-via"), args.option("description")]
    const proxyOnly = args.flag("proxy-only")
    const mayKeep = rotateVia !== undefined || description !== undefined || proxyOnly
    if (!mayKeep && asksForValue(args)) yield* lookBeforeAsking(daemon, name, "present")
    const value = yield* mayKeep ? newValueFromArgs(args, name) : valueFromArgs(args, name)
    const params = {
      name,
      ...(value === undefined ? { keep_value: true } : { value, report_holders: true }),
      ...(description === undefined ? {} : { description, description_set: true }),
      ...(proxyOnly && { proxy_only: true }),
      ...(rotateVia === undefined
        ? {}
        : { rotate_via: rotateVia, rotate_via_set: true, rotate_stdout: args.flag("rotate-stdout") })
    }
    const updated = yield* callForSecret(daemon, "secrets.update", name, params, updatedExample)
    const changed = [
      value === undefined ? [] : ["value"],
      rotateVia === undefined ? [] : ["rotation command"],
      description === undefined ? [] : ["description"],
      proxyOnly ? ["for the proxy only"] : []
    ].flat()
    const what = value !== undefined && changed.length === 1 ? "" : ` (${changed.join(", ")})`
    return {
      lines: [`updated ${quote(name)}${what}`, ...holdersOf(updated)],
      result: {
        name,
        changed,
        leases_of_old_value: updated.leases_of_old_value,
        clients_of_old_value: updated.clients_of_old_value
      }
    }
  })
})

/** Clients that fit on a line. */
const maxClients = 5

const holdersOf = ({
  clients_of_old_value: clients = [],
  leases_of_old_value: count = 0
}: Shaped<typeof updatedExample>): ReadonlyArray<string> => {
  if (count === 0) return []
  const shown = clients.slice(0, maxClients).map(escapeValue)
  const more = clients.length > shown.length ? ["others"] : []
  return [`the old value is still leased by ${[...shown, ...more].join(", ")} (${counted(count, "lease")})`]
}
