/**
 * secrets leases: prints the active leases, newest first.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { call } from "../../rpc/client/client.ts"
import { optional, type Shaped } from "../../domain/shape.ts"
import { defineCommand } from "../command/Command.ts"
import { fromClient, failUsage } from "../command/CommandError.ts"
import { counted } from "../../domain/counted.ts"
import { loadDaemon } from "../command/settings.ts"
import { table } from "../terminal/table.ts"
import { printsToTerminal } from "../terminal/isInteractive.ts"
import { ageOf, shortId, timeUntil } from "../terminal/times.ts"

const listedExample = {
  leases: [
    {
      lease_id: "",
      secret_name: "",
      client_id: "",
      created_at: "",
      expires_at: "",
      runs: optional([{ program: optional(""), pid: optional(0), via: optional(""), requests: optional(0) }])
    }
  ],
  total: 0
}

/** The daemon's limit for one reply. */
const maxRows = 10_000

export const leasesCommand = defineCommand({
  name: "leases",
  summary: "Show the active leases, newest first",
  arity: [0, 0],
  flags: {
    "client-id": {
      type: "string",
      value: "ID",
      summary: "only leases of this client",
      completes: "client",
      formerly: "client"
    },
    secret: { type: "string", value: "NAME", summary: "only leases of this secret", completes: "secret" },
    limit: { type: "string", value: "N", summary: `show at most N leases (default and maximum: ${maxRows})` }
  },
  examples: ["secrets leases", "secrets leases --client-id deploy", "secrets leases --secret github_token --json"],
  run: Effect.fnUntraced(function* (args) {
    const limit = Number(args.option("limit") ?? maxRows)
    if (!Number.isInteger(limit) || limit < 1 || limit > maxRows) {
      return yield* failUsage(`--limit must be a whole number from 1 to ${maxRows}`, "For example: --limit 20")
    }
    const daemon = yield* loadDaemon(args)
    const params = { client_id: args.option("client-id"), secret_name: args.option("secret"), limit }
    const found = yield* Effect.mapError(call(daemon, "secrets.leases", params, listedExample), fromClient)
    const now = yield* Clock.currentTimeMillis
    const rows = found.leases.map((lease) => [
      lease.client_id,
      lease.secret_name,
      ageOf(lease.created_at, now),
      timeUntil(lease.expires_at, now),
      runningOf(lease.runs),
      printsToTerminal() ? shortId(lease.lease_id) : lease.lease_id
    ])
    const left = found.total - found.leases.length
    return {
      lines:
        rows.length === 0
          ? ["no active leases"]
          : [
              ...table(["CLIENT", "SECRET", "AGE", "EXPIRES IN", "RUNNING", "ID"], rows, {
                whole: ["AGE", "EXPIRES IN", "ID"]
              }),
              ...(left === 0 ? [] : [`${left} older leases are not shown`])
            ],
      result: { leases: found.leases, count: found.leases.length, total: found.total }
    }
  })
})

/** Names the programs that run with the value of a lease. */
const runningOf = ([first, ...others]: Shaped<typeof listedExample>["leases"][number]["runs"] = []): string => {
  if (first === undefined) return "-"
  const { pid, program = "?", requests = 0, via } = first
  const through = via === "proxy" ? `, proxy: ${counted(requests, "request")}` : ""
  return `${program}${pid === undefined ? "" : ` (${pid})`}${through}${others.length === 0 ? "" : ` +${others.length}`}`
}
