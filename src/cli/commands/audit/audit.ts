/**
 * secrets audit: the entries of the audit log that are asked for, once or as they
 * come, or whether it is as it was written.
 *
 * The entries come from the daemon, which also chooses them. `--verify` reads the
 * files itself, so that it works without a daemon and depends on none.
 */
import * as Effect from "effect/Effect"
import { defineCommand } from "../../command/Command.ts"
import { failUsage } from "../../command/CommandError.ts"
import { fetchEntries, maxEntries, parseSince } from "./auditEntries.ts"
import { auditRow, followAudit } from "./followAudit.ts"
import { loadConfig, loadDaemon } from "../../command/settings.ts"
import { table } from "../../terminal/table.ts"

/** As many as the predecessor showed. */
const tailDefault = "50"

export const auditCommand = defineCommand({
  name: "audit",
  summary: "Show what happened last",
  arity: [0, 0],
  flags: {
    tail: {
      type: "string",
      value: "N",
      summary: `how many entries (${tailDefault}); 0 for all, at most ${maxEntries}`
    },
    secret: { type: "string", value: "NAME", summary: "only what is about this secret", completes: "secret" },
    client: { type: "string", value: "ID", summary: "only what this client did", completes: "client" },
    action: { type: "string", value: "ACTION", summary: "only this, such as lease_acquire", completes: actions() },
    since: {
      type: "string",
      value: "TIME",
      summary: "only since then: 2h ago, or a moment as in 2026-02-22T08:00:00Z"
    },
    follow: { type: "boolean", short: "f", summary: "go on with what happens, until Ctrl-C" },
    verify: { type: "boolean", summary: "tell whether entries were changed, removed or cut off" }
  },
  examples: [
    "secrets audit --tail 20",
    "secrets audit --client deploy --since 2h",
    "secrets audit --follow --action lease_revoke",
    "secrets audit --verify",
    "secrets audit --json"
  ],
  run: Effect.fnUntraced(function* (args) {
    if (args.flag("verify")) {
      const { auditVerifyReport } = yield* Effect.promise(() => import("./verify.ts"))
      return yield* auditVerifyReport((yield* loadConfig(args)).auditPath)
    }
    const tail = Number(args.option("tail") ?? tailDefault)
    if (!Number.isInteger(tail) || tail < 0)
      return yield* failUsage("--tail must be a whole number", "For instance: --tail 20, or --tail 0 for all")
    const since = yield* parseSince(args.option("since"))
    const daemon = yield* loadDaemon(args)
    const asked = {
      tail: tail === 0 ? maxEntries : tail,
      secret_name: args.option("secret"),
      client_id: args.option("client"),
      action: args.option("action"),
      since
    }
    if (args.flag("follow")) return yield* followAudit(daemon, asked, args.flag("json"))
    const { complete, entries } = yield* fetchEntries(daemon, asked)
    // A tail is meant to leave out what is older; anything else is not.
    const isCut = complete === false && entries.length < asked.tail
    return {
      text:
        entries.length === 0
          ? `no such audit entries${isCut ? " among the last ones; older ones were not looked through" : ""}\n`
          : `${isCut ? "older entries were not looked through\n" : ""}${table(
              ["TIME", "", "ACTION", "SECRET", "CLIENT", "LEASE", "DETAILS"],
              entries.map(auditRow),
              { whole: ["TIME", "ACTION"] }
            )}`,
      result: {
        entries,
        tail_limit: tail,
        total_shown: entries.length,
        complete: complete === undefined ? undefined : !isCut
      }
    }
  })
})

/** What is asked for most, for the shell to complete. */
function actions() {
  return [
    "lease_acquire",
    "lease_replace",
    "lease_revoke",
    "lease_expire",
    "secret_add",
    "secret_update",
    "secret_delete",
    "secret_rotate",
    "killswitch",
    "daemon_start",
    "daemon_stop",
    "request_refused"
  ] as const
}
