/**
 * The health report has the predecessor's counts and warnings.
 */
import { assert, describe, it } from "@effect/vitest"
import { minute } from "../../src/domain/GoDuration.ts"
import { healthReport } from "../../src/domain/health.ts"
import { makeLease } from "../../src/domain/Lease.ts"
import { fromMillis, zeroTimestamp } from "../../src/domain/Timestamp.ts"

const day = 86_400_000
const now = 1_000 * day
const secret = (name: string, createdAt: number, rotateVia = "a command") => ({
  name,
  createdAt: fromMillis(createdAt),
  updatedAt: zeroTimestamp,
  rotateVia,
  rotateStdout: false,
  lastRotated: zeroTimestamp,
  description: ""
})
const lease = (id: string, ttl: bigint) => makeLease({ id, secretName: "db", clientId: "c", now, ttl })
const at = (millis: number) => new Map([["db", fromMillis(millis)]])

describe("health", () => {
  it("is empty for an empty store", () => {
    assert.deepStrictEqual(healthReport([], [], new Map(), now), {
      total_secrets: 0,
      active_leases: 0,
      expiring_soon: 0,
      never_rotated: 0,
      stale_secrets: 0,
      warnings: []
    })
  })

  for (const [ttl, words] of [
    [0n, "0s"],
    [minute - 1n, "60s"],
    [minute, "1m"],
    [30n * minute, "30m"],
    [60n * minute - 1_000_000n, "60m"]
  ] as const) {
    it(`warns that a lease expires in ${words}`, () => {
      const report = healthReport([], [lease("l", ttl)], new Map(), now)
      assert.deepStrictEqual(report.warnings, [
        {
          type: "expiring_soon",
          secret_name: "db",
          lease_id: "l",
          message: `Lease expires in ${words}`,
          severity: "warning",
          timestamp: lease("l", ttl).expiresAt.text
        }
      ])
      assert.deepStrictEqual([report.active_leases, report.expiring_soon], [1, 1])
    })
  }

  it("does not warn of a lease with an hour left", () => {
    assert.deepStrictEqual(healthReport([], [lease("l", 60n * minute)], new Map(), now).warnings, [])
  })

  it("warns of a secret without a rotation command", () => {
    const report = healthReport([secret("db", now, "")], [], at(now), now)
    assert.deepStrictEqual(report.warnings, [
      {
        type: "no_rotation_hook",
        secret_name: "db",
        severity: "info",
        message: "No rotation hook configured",
        timestamp: "0001-01-01T00:00:00Z"
      }
    ])
    assert.strictEqual(report.never_rotated, 1)
  })

  it("warns of a secret that was not leased for more than thirty days", () => {
    const text = (millis: number) =>
      healthReport([secret("db", 0)], [], at(millis), now).warnings.map(({ message }) => message)
    assert.deepStrictEqual(text(now - 30 * day), [])
    assert.deepStrictEqual(text(now - 30 * day - 1), ["Not accessed in 30 days"])
    assert.strictEqual(healthReport([secret("db", 0)], [], at(0), now).stale_secrets, 1)
  })

  it("warns of a secret that was never leased and is more than thirty whole days old", () => {
    const text = (created: number) =>
      healthReport([secret("db", created)], [], new Map(), now).warnings.map(({ message }) => message)
    assert.deepStrictEqual(text(now - 31 * day + 1), [])
    assert.deepStrictEqual(text(now - 31 * day), ["Never accessed (created 31 days ago)"])
  })
})
