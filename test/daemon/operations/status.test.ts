/** The status for a person who looks for a fault: it is there also while the leases cannot be read. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AuditLogError } from "../../../src/daemon/audit/AuditLogError.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { diagnostics } from "../../../src/daemon/operations/status.ts"
import { TeamAway } from "../../../src/domain/Team.ts"
import { acquireLease, addSecret, testLayerNoTelemetry } from "../../support/testLayer.ts"

describe("the diagnostics of the daemon", () => {
  it.effect("count the leases and name the oldest, if they can be read", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* acquireLease("db", "c")
      const { activeLeases, oldestLease } = yield* diagnostics
      assert.deepStrictEqual([activeLeases, oldestLease?.text], [1, "1970-01-01T00:00:00Z"])
      const cause = new TeamAway({ reason: "no answer" })
      const away = yield* Effect.updateService(diagnostics, LeaseRepo, (repo) => ({
        ...repo,
        oldest: Effect.fail(new AuditLogError({ operation: "read", cause }))
      }))
      assert.deepStrictEqual([away.activeLeases, away.oldestLease], [1, undefined])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})
