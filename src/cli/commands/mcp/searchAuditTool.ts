/**
 * search_audit, off unless config.json lists it: the audit entries of this client, or of all if
 * `mcp.audit` says so. What others did comes without details.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isOfClient } from "../../../domain/Lease.ts"
import { call } from "../../../rpc/client/client.ts"
import { optional } from "../../../domain/shape.ts"
import { fromClient } from "../../command/CommandError.ts"
import { parseSince } from "../audit/since.ts"
import { daemonFor } from "./session.ts"
import { failureOf, toolFailure } from "./toolFailure.ts"
import { defineTool } from "./Tool.ts"

const entryExample = {
  timestamp: "",
  action: "",
  success: optional(true),
  secret_name: optional(""),
  client_id: optional(""),
  via: optional(""),
  program: optional(""),
  details: optional("")
}

const mostEntries = 50

export const searchAuditTool = defineTool({
  name: "search_audit",
  title: "Search the audit log",
  description:
    "Returns the last entries of the audit log about this client: what it leased, when, and what was refused.",
  hints: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
  input: Schema.Struct({
    secret: Schema.optionalKey(Schema.String),
    since: Schema.optionalKey(Schema.String.annotate({ description: "e.g. 2h, yesterday or 2026-02-22" })),
    limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: mostEntries })))
  }),
  output: Schema.Struct({
    entries: Schema.Array(
      Schema.Struct({
        timestamp: Schema.String,
        action: Schema.String,
        success: Schema.Boolean,
        secret: Schema.optionalKey(Schema.String),
        client: Schema.optionalKey(Schema.String),
        via: Schema.optionalKey(Schema.String),
        program: Schema.optionalKey(Schema.String),
        details: Schema.optionalKey(Schema.String)
      })
    )
  }),
  run: Effect.fnUntraced(function* ({ limit = mostEntries, secret, since }, { clientId, session }) {
    const daemon = yield* daemonFor(session)
    const from = yield* Effect.mapError(parseSince(since), () => toolFailure("invalid_arguments", "since is no time"))
    const own = session.settings.audit === "own" ? { client_id: clientId, below: true } : {}
    const params = { ...own, tail: limit, secret_name: secret ?? "", since: from ?? "" }
    const found = yield* Effect.mapError(call(daemon, "secrets.audit", params, { entries: [entryExample] }), (error) =>
      failureOf(fromClient(error))
    )
    return {
      entries: found.entries.map(
        ({ action, client_id = "", details, program, secret_name, success, timestamp, via }) => ({
          timestamp,
          action,
          success: success === true,
          ...(secret_name !== undefined && { secret: secret_name }),
          ...(client_id !== "" && { client: client_id }),
          ...(via !== undefined && { via }),
          ...(program !== undefined && { program }),
          ...(details !== undefined && isOfClient(client_id, clientId, true) && { details })
        })
      )
    }
  })
})
