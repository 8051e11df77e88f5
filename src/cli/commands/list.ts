/**
 * secrets list: prints the names in the store and what is known about each, never a value.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { counted } from "../../domain/counted.ts"
import { quote } from "../../domain/goText.ts"
import { call } from "../../rpc/client/client.ts"
import { optional, type Shaped } from "../../domain/shape.ts"
import { defineCommand } from "../command/Command.ts"
import { fromClient } from "../command/CommandError.ts"
import { loadClientId, loadDaemon } from "../command/settings.ts"
import { table } from "../terminal/table.ts"
import { ageOf } from "../terminal/times.ts"

const secretExample = {
  name: "",
  created_at: "",
  updated_at: "",
  last_rotated: "",
  rotate_via: optional(""),
  active_leases: optional(0),
  description: optional(""),
  proxy_only: optional(true),
  last_leased_at: optional("")
}
type ListedSecret = Shaped<typeof secretExample>

/** The predecessor searches no log, so it has no `searched_all`. */
const listedExample = { secrets: [secretExample], searched_all: optional(true), hidden: optional(0) }

export const listCommand = defineCommand({
  name: "list",
  summary: "Show the names of all secrets, their age, last use and leases",
  arity: [0, 0],
  flags: {},
  examples: ["secrets list", "secrets list --json"],
  about:
    "AGE is how long ago the value was set, LAST USED how long ago it was leased. A socket for some clients shows their leases alone.",
  run: Effect.fnUntraced(function* (args) {
    const daemon = yield* loadDaemon(args)
    const params = { last_leases: true, client_id: yield* loadClientId(args) }
    const listed = yield* Effect.mapError(call(daemon, "secrets.list", params, listedExample), fromClient)
    const { hidden = 0, searched_all: isComplete = false, secrets } = listed
    const now = yield* Clock.currentTimeMillis
    return {
      lines: [
        ...(secrets.length > 0
          ? rowsOf(secrets, isComplete, now)
          : hidden === 0
            ? ["no secrets; add one with: secrets add NAME"]
            : []),
        ...(hidden === 0
          ? []
          : [
              `the policy hides ${counted(hidden, "secret")} from ${quote(params.client_id)}: secrets policy explain NAME`
            ])
      ],
      result: {
        secrets: secrets.map((secret) => ({
          name: secret.name,
          has_rotation: secret.rotate_via !== undefined,
          active_leases: secret.active_leases ?? 0,
          created_at: secret.created_at,
          updated_at: secret.updated_at,
          last_rotated: secret.last_rotated,
          last_leased_at: secret.last_leased_at,
          description: secret.description,
          proxy_only: secret.proxy_only
        })),
        count: secrets.length,
        searched_all: isComplete,
        hidden
      }
    }
  })
})

const rowsOf = (secrets: ReadonlyArray<ListedSecret>, isComplete: boolean, now: number): ReadonlyArray<string> => {
  const isDescribed = secrets.some(({ description }) => description !== undefined)
  const rows = secrets.map((secret) => [
    secret.name,
    `${secret.active_leases ?? 0}`,
    secret.rotate_via === undefined ? "" : "yes",
    ageOf(secret.updated_at, now),
    secret.last_leased_at === undefined ? (isComplete ? "never" : "") : ageOf(secret.last_leased_at, now),
    ...(isDescribed ? [secret.description ?? ""] : [])
  ])
  const head = ["NAME", "LEASES", "ROTATES", "AGE", "LAST USED", ...(isDescribed ? ["DESCRIPTION"] : [])]
  return table(head, rows, { whole: ["LEASES", "ROTATES", "AGE", "LAST USED"] })
}
