/**
 * secrets audit: prints audit entries, follows the log, or verifies it.
 *
 * The daemon provides and filters the entries. `--verify` and `--head` read the files
 * themselves and need no daemon.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { auditActions } from "../../../domain/auditActions.ts"
import { closestMatch } from "../../../domain/closestMatch.ts"
import { quote } from "../../../domain/goText.ts"
import { nameWord } from "../../../domain/shellWord.ts"
import { defineCommand } from "../../command/Command.ts"
import { failUsage } from "../../command/CommandError.ts"
import { loadConfig, loadDaemon } from "../../command/settings.ts"
import { table } from "../../terminal/table.ts"
import { printsToTerminal } from "../../terminal/isInteractive.ts"
import { shortTime } from "../../terminal/times.ts"
import { auditRow, fetchEntries, followAudit, maxEntries } from "./auditEntries.ts"
import { parseSince } from "./since.ts"

/** Short enough for any terminal. */
const actionsPerRow = 4
const actionRows = auditActions.flatMap((_, at) =>
  at % actionsPerRow === 0 ? [`  ${auditActions.slice(at, at + actionsPerRow).join(" ")}`] : []
)

/** The predecessor's default. */
const defaultTail = "50"

export const auditCommand = defineCommand({
  name: "audit",
  summary: "Show the audit log, or verify it",
  positionals: "[HASH]",
  arity: [0, 3],
  flags: {
    tail: { type: "string", value: "N", summary: `the last N entries (${defaultTail}); 0 shows up to ${maxEntries}` },
    secret: { type: "string", value: "NAME", summary: "only entries of this secret", completes: "secret" },
    "client-id": {
      type: "string",
      value: "ID",
      summary: "only entries of this client",
      completes: "client",
      formerly: "client"
    },
    action: {
      type: "string",
      value: "ACTION",
      summary: "only this action, such as lease_acquire",
      completes: auditActions
    },
    since: {
      type: "string",
      value: "TIME",
      summary: "only since a time or a duration ago: 2h, 7d, yesterday, 2026-02-22"
    },
    follow: { type: "boolean", short: "f", summary: "keep printing new entries until Ctrl-C" },
    verify: { type: "boolean", summary: "check whether entries, secrets.age or leases.json were changed" },
    team: { type: "boolean", summary: "with --verify: check the logs of all machines of the team" },
    repair: { type: "boolean", summary: "with --team: put back what the team's database has lost of this machine" },
    accept: { type: "boolean", summary: "accept what --verify finds now, with an entry in the log" },
    head: { type: "boolean", summary: "print number, hash and time of the last entry; with --verify HASH must be one" }
  },
  examples: [
    "secrets audit --tail 20",
    "secrets audit --client-id deploy --since 2h",
    "secrets audit --follow --action lease_revoke",
    "secrets audit --verify",
    "secrets audit --verify --team",
    "secrets audit --head > /mnt/elsewhere/audit.head",
    'secrets audit --verify --head "$(cat /mnt/elsewhere/audit.head)"',
    "secrets audit --json"
  ],
  about: ["The actions:", ...actionRows].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    if (args.positionals.length > 0 && !(args.flag("verify") && args.flag("head"))) {
      return yield* failUsage("HASH requires --verify --head", "For example: secrets audit --verify --head HASH")
    }
    if (args.flag("accept")) {
      const { auditAccept } = yield* Effect.promise(() => import("./accept.ts"))
      return yield* auditAccept(yield* loadDaemon(args))
    }
    if (
      args.flag("team") !== (args.flag("team") && args.flag("verify")) ||
      (args.flag("repair") && !args.flag("team"))
    ) {
      return yield* failUsage("--team requires --verify, and --repair both", "Use: secrets audit --verify --team")
    }
    if (args.flag("team")) {
      const { auditVerifyTeam } = yield* Effect.promise(() => import("./verifyTeam.ts"))
      return yield* auditVerifyTeam(args, args.flag("repair"))
    }
    if (args.flag("verify")) {
      const [{ auditVerifyReport }, { parseHead }] = yield* Effect.promise(() =>
        Promise.all([import("./verify.ts"), import("./head.ts")])
      )
      const expected = args.flag("head") ? yield* parseHead(args.positionals) : undefined
      return yield* auditVerifyReport(yield* loadConfig(args), expected)
    }
    if (args.flag("head")) {
      const { auditHeadReport } = yield* Effect.promise(() => import("./head.ts"))
      return yield* auditHeadReport((yield* loadConfig(args)).auditPath)
    }
    const tail = Number(args.option("tail") ?? defaultTail)
    if (!Number.isInteger(tail) || tail < 0) {
      return yield* failUsage("--tail must be a whole number", "For example: --tail 20, or --tail 0 for all")
    }
    const since = yield* parseSince(args.option("since"))
    const action = args.option("action")
    if (action !== undefined && !auditActions.some((one) => one === action)) return yield* failUnknownAction(action)
    const daemon = yield* loadDaemon(args)
    const query = {
      tail: tail === 0 ? maxEntries : tail,
      secret_name: args.option("secret"),
      client_id: args.option("client-id"),
      action,
      since
    }
    if (args.flag("follow")) return yield* followAudit(daemon, query, args.flag("json"))
    const { complete, entries, log_from_at, log_from_seq } = yield* fetchEntries(daemon, query)
    // Fewer entries than asked for, although the daemon did not read the whole log.
    const isCut = complete === false && entries.length < query.tail
    const now = printsToTerminal() ? yield* Clock.currentTimeMillis : undefined
    const cells = entries.map((entry) => auditRow(entry, now))
    const rows =
      entries.length === 0
        ? ["no matching audit entries"]
        : table(["TIME", "", "ACTION", "SECRET", "CLIENT", "LEASE", "DETAILS"], cells, {
            whole: ["TIME", "LEASE"],
            sentences: ["DETAILS"]
          })
    const isShort = log_from_seq !== undefined && log_from_at !== undefined && entries.length < query.tail
    const lead = isCut
      ? ["older entries were not searched"]
      : isShort
        ? [
            `the log begins with entry ${log_from_seq}, ${now === undefined ? log_from_at : shortTime(log_from_at, now)}: older ones were removed`,
            `Who was given which value before is still known: ${exposureOf(query.client_id, query.secret_name)}`
          ]
        : []
    return {
      lines: [...lead, ...rows],
      result: {
        entries,
        tail_limit: tail,
        total_shown: entries.length,
        complete: complete === undefined ? undefined : !isCut,
        log_from_seq,
        log_from_at
      }
    }
  })
})

const exposureOf = (clientId: string | undefined, secretName: string | undefined): string =>
  secretName !== undefined
    ? `secrets exposure ${nameWord(secretName)}`
    : `secrets exposure --client-id ${clientId === undefined ? "'*'" : nameWord(clientId, "ID")}`

const failUnknownAction = (given: string) => {
  const word = given.toLowerCase().replaceAll(/[^a-z]+/g, "_")
  const closest = closestMatch(word, auditActions)
  const similar = word.length < 3 ? [] : auditActions.filter((action) => action.includes(word))
  const meant = closest === undefined ? similar : [closest]
  const fix = meant.length === 0 ? "See the actions: secrets audit --help" : `Did you mean: ${meant.join(", ")}`
  return failUsage(`unknown action ${quote(given)}`, fix)
}
