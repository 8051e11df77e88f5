/**
 * secrets revoke: revokes one lease, or those of a client or a secret. `--all`
 * is the killswitch.
 */
import { counted } from "../../../domain/counted.ts"
import { escapeValue } from "../../../domain/escape.ts"
import { matchesShape, literal, optional } from "../../../domain/shape.ts"
import type { ArgsOf } from "../../command/Command.ts"
import { usageError, type Output, type Problem } from "../../command/Output.ts"
import { defineQuery, isProblem, type QueryRequest } from "../../command/QueryCommand.ts"

const flags = {
  "client-id": {
    type: "string",
    value: "ID",
    summary: "revoke every lease of this client",
    completes: "client",
    formerly: "client"
  },
  secret: { type: "string", value: "NAME", summary: "revoke every lease of this secret", completes: "secret" },
  all: { type: "boolean", summary: "the killswitch: revoke every active lease" },
  rotate: { type: "boolean", summary: "with --all: also rotate every secret that has a rotation command" },
  wipe: { type: "boolean", summary: "with --all: also delete every secret, the backup of the store and its key" },
  yes: { type: "boolean", short: "y", summary: "with --wipe: do not ask; without a terminal nothing is asked" },
  drill: { type: "boolean", summary: "with --all: print what it would do, and change nothing" },
  wait: {
    type: "string",
    value: "DURATION",
    summary: "how long to wait until the programs with these values have ended (0s; with --all 10s)"
  }
} as const

export const revokeCommand = defineQuery({
  name: "revoke",
  summary: "Revoke one lease, those of a client or a secret, or all",
  positionals: "[LEASE_ID]",
  arity: [0, 1],
  completes: "lease",
  flags,
  examples: [
    "secrets revoke 57e7cffb",
    "secrets revoke --client-id deploy --secret github_token",
    "secrets revoke --client-id ci --wait 30s",
    "secrets revoke --all --drill",
    "secrets revoke --all"
  ],
  about:
    "Four characters of LEASE_ID or more are enough, if they are the beginning of one active lease. " +
    "With --client-id and --secret, revokes leases that match both. Matching none is not an error.\n\n" +
    "secrets exec ends its program when a lease of it is revoked, also if that was over already. " +
    "With --wait, the status is 9 if a program has not ended by then.\n\n" +
    "A value works until its provider changes it. --all lists those to rotate; secrets lock stops new leases.",
  requests: (args) => {
    const asked = revokeRequests(args)
    const waits = asked !== undefined && !isProblem(asked) && args.option("wait") !== undefined
    return waits ? undefined : asked
  },
  render: ([revoked], { args }) => renderRevoked(revoked, args)
})

export type RevokeArgs = ArgsOf<typeof flags>

/** Returns the request; undefined for the killswitch. */
export const revokeRequests = (args: RevokeArgs): ReadonlyArray<QueryRequest> | Problem | undefined => {
  const [id] = args.positionals
  const [client, secret] = [args.option("client-id"), args.option("secret")]
  const isFiltered = client !== undefined || secret !== undefined
  if (args.flag("all")) {
    if (isFiltered) return usageError("--all excludes --client-id and --secret", choose)
    return id === undefined ? undefined : usageError("--all excludes LEASE_ID", choose)
  }
  if (args.flag("rotate") || args.flag("wipe")) {
    return usageError("--rotate and --wipe require --all", "secrets revoke --help")
  }
  if (args.flag("drill")) return usageError("--drill requires --all", "See what runs: secrets runs")
  if (isFiltered) {
    if (id !== undefined) return usageError("LEASE_ID excludes --client-id and --secret", choose)
    const params = { client_id: client, secret_name: secret, report_runs: true }
    return [{ method: "secrets.revokeMatching", params }]
  }
  return id === undefined
    ? usageError("LEASE_ID is missing", "Give the id of a lease (secrets leases), --client-id, --secret or --all")
    : [{ method: "secrets.revoke", params: { lease_id: id, prefix: true, report_runs: true } }]
}

const choose = "Use one of: LEASE_ID, --client-id and --secret, --all"

/** Members of a reply that a daemon without runs does not send. */
export const runsReached = { runs_told: optional(0), run_ids: optional([""]), team: optional("") }

/** Describes the programs that the daemon does not know, because another machine of its team runs them. */
export const describeOthers = (team: string | undefined): ReadonlyArray<string> =>
  team === undefined
    ? []
    : ["Programs on the other machines of the team get a notice within seconds: secrets runs there shows which run."]

/** Renders a reply; returns undefined if it has an unexpected shape. */
export const renderRevoked = (revoked: unknown, args: RevokeArgs): Output | undefined => {
  if (!matchesShape(revoked, { success: literal(true), ...runsReached })) return undefined
  const notified = revoked.runs_told ?? 0
  const runs = notified === 0 ? {} : { runs: { notified } }
  const more = [
    ...(notified === 0 ? [] : [`${counted(notified, "program")} notified: secrets runs`]),
    ...describeOthers(revoked.team)
  ]
  if (args.positionals.length === 0) {
    return matchesShape(revoked, { leases_revoked: 0 })
      ? {
          lines: [`revoked ${counted(revoked.leases_revoked, "lease")}`, ...more],
          result: { leases_revoked: revoked.leases_revoked, ...runs }
        }
      : undefined
  }
  if (!matchesShape(revoked, { lease_id: optional(""), was_over: optional(true) })) return undefined
  const id = revoked.lease_id ?? args.positionals[0] ?? ""
  const wasOver = revoked.was_over === true
  const done = wasOver ? `${escapeValue(id)} was over already` : `revoked ${escapeValue(id)}`
  return { lines: [done, ...more], result: { lease_id: id, ...(wasOver && { was_over: true }), ...runs } }
}
