/**
 * secrets health: prints warnings about the secrets and leases. To check whether the
 * daemon is serving, use `status`.
 */
import { matchesShape, optional } from "../../rpc/protocol/shape.ts"
import { table } from "../terminal/table.ts"
import { defineQuery } from "../command/QueryCommand.ts"
import { counted } from "../../domain/counted.ts"

const reportExample = {
  total_secrets: 0,
  active_leases: 0,
  expiring_soon: 0,
  never_rotated: 0,
  stale_secrets: 0,
  warnings: [{ type: "", secret_name: optional(""), lease_id: optional(""), message: "", severity: "", timestamp: "" }]
}

export const healthCommand = defineQuery({
  name: "health",
  summary: "Show secrets that are stale or never rotated, and expiring leases",
  arity: [0, 0],
  flags: { warnings: { type: "boolean" } },
  examples: ["secrets health", "secrets health --json"],
  requests: () => [{ method: "secrets.health", params: {} }],
  render: ([report]) => {
    if (!matchesShape(report, reportExample)) return undefined
    const rows = report.warnings.map((warning) => [
      warning.severity,
      warning.secret_name ?? "",
      warning.message,
      warning.lease_id ?? ""
    ])
    const counts = `${counted(report.total_secrets, "secret")}, ${counted(report.active_leases, "active lease")}`
    return {
      lines:
        rows.length === 0
          ? [counts, "healthy"]
          : [
              counts,
              "",
              ...table(["", "SECRET", "WHAT", "LEASE"], rows, { whole: ["WHAT", "LEASE"], sentences: ["WHAT"] })
            ],
      result: { ...report, warnings_count: report.warnings.length }
    }
  }
})
