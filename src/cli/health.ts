/**
 * secrets health: what there is to say about the state of the secrets. To ask
 * whether the daemon is serving, `status` is the command.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { call } from "../rpc/client.ts"
import { define } from "./Command.ts"
import { fromClient } from "./Failure.ts"
import { loadDaemon } from "./settings.ts"
import { table } from "./table.ts"

const Health = Schema.Struct({
  total_secrets: Schema.Int,
  active_leases: Schema.Int,
  expiring_soon: Schema.Int,
  never_rotated: Schema.Int,
  stale_secrets: Schema.Int,
  warnings: Schema.Array(
    Schema.Struct({
      type: Schema.String,
      secret_name: Schema.optionalKey(Schema.String),
      lease_id: Schema.optionalKey(Schema.String),
      message: Schema.String,
      severity: Schema.String,
      timestamp: Schema.String
    })
  )
})

export const health = define({
  name: "health",
  summary: "Show what is expiring, stale or never rotated",
  arity: [0, 0],
  flags: { warnings: { type: "boolean" } },
  examples: ["secrets health", "secrets health --json"],
  run: Effect.fnUntraced(function* (line) {
    const daemon = yield* loadDaemon(line)
    const report = yield* Effect.mapError(call(daemon, "secrets.health", {}, Health), fromClient)
    const rows = report.warnings.map((warning) => [
      warning.severity,
      warning.secret_name ?? "",
      warning.message,
      warning.lease_id ?? ""
    ])
    const counts = `${report.total_secrets} secrets, ${report.active_leases} active leases\n`
    return {
      text:
        rows.length === 0
          ? `${counts}healthy\n`
          : `${counts}\n${table(["", "SECRET", "WHAT", "LEASE"], rows, { whole: ["WHAT", "LEASE"] })}`,
      result: { ...report, warnings_count: report.warnings.length }
    }
  })
})
