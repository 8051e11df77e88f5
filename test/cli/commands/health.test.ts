/**
 * What `secrets health` prints: groups, the oldest value first, and one line for everything
 * without a rotation command.
 */
import { assert, describe, it } from "@effect/vitest"
import { healthLines } from "../../../src/cli/commands/health.ts"

const now = Date.parse("2026-11-30T12:00:00Z")
const report = {
  total_secrets: 7,
  active_leases: 2,
  expiring_soon: 0,
  never_rotated: 0,
  stale_secrets: 0,
  open_and_unchanged: undefined,
  warnings: []
}
const warning = (
  type: string,
  secret_name: string,
  message = "",
  more: { beyond_default?: true; timestamp?: string } = {}
) => ({
  type,
  secret_name,
  lease_id: undefined,
  message,
  severity: "info",
  timestamp: more.timestamp ?? "2026-11-30T12:30:00Z",
  beyond_default: more.beyond_default
})

describe("health", () => {
  it("is one line if nothing needs attention", () => {
    const fresh = [{ name: "a", updated_at: "2026-11-01T12:00:00Z" }]
    assert.deepStrictEqual(healthLines(report, fresh, now), ["7 secrets, 2 active leases", "healthy"])
  })

  it("groups what it found", () => {
    const lines = healthLines(
      {
        ...report,
        warnings: [
          warning("store_rejects_changes", "", "The store rejects changes; secrets status shows why"),
          warning("expiring_soon", "default", "Lease expires in 30m"),
          warning("expiring_soon", "long", "Lease expires in 30m", { beyond_default: true }),
          warning("stale_secret", "idle", "Not accessed in 40 days"),
          ...["a", "b", "c", "d", "e", "f"].map((name) => warning("no_rotation_hook", name))
        ]
      },
      [
        { name: "newer", updated_at: "2026-06-30T12:00:00Z" },
        { name: "oldest", updated_at: "2025-11-30T12:00:00Z" },
        { name: "fresh", updated_at: "2026-11-29T12:00:00Z" },
        { name: "unknown", updated_at: "?" }
      ],
      now
    )
    assert.deepStrictEqual(lines, [
      "7 secrets, 2 active leases",
      "",
      "Needs attention:",
      "  The store rejects changes; secrets status shows why",
      "",
      "Values older than 90 days:",
      "  oldest  set 365d ago",
      "  newer   set 153d ago",
      "",
      "Not used for a month:",
      "  idle  Not accessed in 40 days",
      "",
      "Leases that end within an hour:",
      "  long  in 30m",
      "",
      'Without a rotation command: 6 of 7: "a", "b", "c", "d", "e", …'
    ])
  })

  it("shows ten rows of a group, and escapes names", () => {
    const many = Array.from({ length: 12 }, (_, n) => warning("stale_secret", `s${n}\u001b[2J`, "Not accessed"))
    const lines = healthLines({ ...report, warnings: many }, [], now)
    assert.lengthOf(
      lines.filter((line) => line.includes("Not accessed")),
      10
    )
    assert.strictEqual(lines.at(-1), "  and 2 more: secrets health --json")
    assert.include(lines[3] ?? "", "s0\\x1b[2J")
  })
})
