/**
 * secrets lease: the value of a secret on standard output, and nothing else.
 *
 * Callers take standard output for the credential and half of them look at nothing
 * else, so on any failure there is nothing on it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as os from "node:os"
import { call } from "../rpc/client.ts"
import { define } from "./Command.ts"
import { fromClient } from "./Failure.ts"
import { loadDaemon } from "./settings.ts"

const Leased = Schema.Struct({ lease_id: Schema.String, value: Schema.String, expires_at: Schema.String })

export const lease = define({
  name: "lease",
  summary: "Print the value of a secret, leased for a time",
  operands: "NAME",
  arity: [1, 1],
  flags: {
    ttl: { type: "string", value: "DURATION", summary: "how long, such as 30m or 24h (1h)" },
    "client-id": {
      type: "string",
      value: "ID",
      summary: "who asks; one client holds one lease of a secret (host name)"
    },
    raw: { type: "boolean" }
  },
  examples: ["secrets lease github_token", "secrets lease github_token --ttl 15m --client-id deploy"],
  run: Effect.fnUntraced(function* (line) {
    const [name = ""] = line.operands
    const daemon = yield* loadDaemon(line)
    const client = line.text("client-id") ?? (os.hostname() || "unknown")
    const params = { secret_name: name, client_id: client, ttl: line.text("ttl") ?? "" }
    const leased = yield* Effect.mapError(call(daemon, "secrets.lease", params, Leased), fromClient)
    return {
      text: leased.value,
      result: {
        value: leased.value,
        lease_id: leased.lease_id,
        expires_at: leased.expires_at,
        secret_name: name,
        client_id: client
      }
    }
  })
})
