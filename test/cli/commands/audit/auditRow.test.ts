/**
 * The rows of the audit log: exact in a pipe, short on a terminal of 80 columns.
 */
import { assert, describe, it } from "@effect/vitest"
import { auditRow } from "../../../../src/cli/commands/audit/auditEntries.ts"
import { displayWidth } from "../../../../src/cli/terminal/displayWidth.ts"
import { table } from "../../../../src/cli/terminal/table.ts"

const id = "57e7cffb-eaea-424f-93dc-a3d421c94118"
const entry = {
  timestamp: "2026-11-22T00:30:37.783025378-08:00",
  action: "lease_replace",
  secret_name: "日本語のトークン",
  client_id: "host/my-project/npm[12345]",
  lease_id: id,
  details: `replaced by ${id}, TTL: 1h0m0s`,
  success: true,
  expires_at: undefined,
  shift_ms: undefined,
  socket: undefined,
  via: undefined,
  program: undefined,
  session: undefined,
  reason: undefined,
  seq: 1,
  prev: undefined
}

describe("a row of the audit log", () => {
  it("is exact in a pipe", () => {
    assert.deepStrictEqual(auditRow(entry), [
      entry.timestamp,
      "ok",
      "lease_replace",
      entry.secret_name,
      entry.client_id,
      id,
      entry.details
    ])
  })

  it("has short ids on a terminal, and fits 80 columns also with wide characters", () => {
    const row = auditRow({ ...entry, success: false }, Date.UTC(2028, 0, 1))
    assert.match(row[0] ?? "", /^2026-11-2\d$/)
    assert.deepStrictEqual([row[5], row[6]], ["57e7cffb", "replaced by 57e7cffb, TTL: 1h0m0s"])
    const lines = table(["TIME", "", "ACTION", "SECRET", "CLIENT", "LEASE", "DETAILS"], [row], {
      width: 80,
      whole: ["TIME", "LEASE"],
      sentences: ["DETAILS"]
    })
    for (const line of lines) assert.isAtMost(displayWidth(line), 80, line)
  })
})
