/**
 * secrets audit: the last entries of the audit log, or whether it is as it was
 * written.
 *
 * The entries come from the daemon. `--verify` reads the files itself, so that it
 * works without a daemon and depends on none.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { AuditEntry } from "../domain/AuditEntry.ts"
import { call } from "../rpc/client.ts"
import { define } from "./Command.ts"
import { fromClient, misuse } from "./Failure.ts"
import { loadConfig, loadDaemon } from "./settings.ts"
import { table } from "./table.ts"
import { verify } from "./verifyAudit.ts"

const Entries = Schema.Struct({ entries: Schema.Array(AuditEntry) })

/** As many as the predecessor showed. */
const tailDefault = "50"

export const audit = define({
  name: "audit",
  summary: "Show what happened last",
  arity: [0, 0],
  flags: {
    tail: { type: "string", value: "N", summary: `how many entries (${tailDefault})` },
    verify: { type: "boolean", summary: "tell whether entries were changed, removed or cut off" }
  },
  examples: ["secrets audit --tail 20", "secrets audit --verify", "secrets audit --json"],
  run: Effect.fnUntraced(function* (line) {
    if (line.given("verify")) return yield* verify((yield* loadConfig(line)).auditPath)
    const tail = Number(line.text("tail") ?? tailDefault)
    if (!Number.isInteger(tail) || tail < 1)
      return yield* misuse("--tail must be a whole number above 0", "For instance: --tail 20")
    const daemon = yield* loadDaemon(line)
    const { entries } = yield* Effect.mapError(call(daemon, "secrets.audit", { tail }, Entries), fromClient)
    const rows = entries.map((entry) => [
      entry.timestamp,
      entry.success ? "ok" : "FAILED",
      entry.action,
      entry.secret_name ?? "",
      entry.client_id ?? "",
      entry.lease_id ?? "",
      entry.details ?? ""
    ])
    return {
      text:
        rows.length === 0
          ? "no audit entries yet\n"
          : table(["TIME", "", "ACTION", "SECRET", "CLIENT", "LEASE", "DETAILS"], rows),
      result: { entries, tail_limit: tail, total_shown: entries.length }
    }
  })
})
