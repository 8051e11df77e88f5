/**
 * secrets list: the names in the store, never the values.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { call } from "../rpc/client.ts"
import { define } from "./Command.ts"
import { fromClient } from "./Failure.ts"
import { loadDaemon } from "./settings.ts"
import { table } from "./table.ts"

const Listed = Schema.Struct({
  secrets: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      rotate_via: Schema.optionalKey(Schema.String),
      active_leases: Schema.optionalKey(Schema.Int)
    })
  )
})

export const list = define({
  name: "list",
  summary: "Show the names of the secrets and how many leases each has",
  arity: [0, 0],
  flags: {},
  examples: ["secrets list", "secrets list --json"],
  run: Effect.fnUntraced(function* (line) {
    const daemon = yield* loadDaemon(line)
    const { secrets } = yield* Effect.mapError(call(daemon, "secrets.list", {}, Listed), fromClient)
    const rows = secrets.map((secret) => [
      secret.name,
      `${secret.active_leases ?? 0}`,
      secret.rotate_via === undefined ? "" : "yes"
    ])
    return {
      text:
        rows.length === 0
          ? "no secrets yet; add one with: secrets add NAME\n"
          : table(["NAME", "LEASES", "ROTATES"], rows, { whole: ["NAME"] }),
      result: {
        secrets: secrets.map((secret) => ({
          name: secret.name,
          has_rotation: secret.rotate_via !== undefined,
          active_leases: secret.active_leases ?? 0
        })),
        count: secrets.length
      }
    }
  })
})
