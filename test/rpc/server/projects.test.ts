/**
 * A decision about a project file is recorded with its path and hash, and with nothing unbounded.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { projectHandlers } from "../../../src/rpc/server/handlers/projects.ts"
import { memoryAuditLog } from "../../support/memoryAuditLog.ts"

const record = projectHandlers["secrets.recordTrust"]
const hash = "0".repeat(64)
const decided = { client_id: "me", decision: "allow", path: "/home/me/a b/.secrets.json", hash }

describe("secrets.recordTrust", () => {
  it.effect("records every decision, and a refusal as a failure", () =>
    Effect.gen(function* () {
      for (const decision of ["allow", "disallow", "accept", "refuse"]) yield* record({ ...decided, decision })
      const entries = yield* AuditLog.use((audit) => audit.tail(10))
      assert.deepStrictEqual(
        entries.map(({ action, client_id, details, success }) => [action, client_id, details, success]),
        [
          ["project_allow", true],
          ["project_disallow", true],
          ["project_accept", true],
          ["project_refuse", false]
        ].map(([action, success]) => [action, "me", `sha256:${hash} ${decided.path}`, success] as any)
      )
    }).pipe(Effect.provide(memoryAuditLog))
  )

  it.effect("rejects what is missing, unknown or too long, and records nothing", () =>
    Effect.gen(function* () {
      for (const [more, tag] of [
        [{ client_id: "" }, "MissingClientId"],
        [{ path: "" }, "MissingParameter"],
        [{ path: "/".repeat(4097) }, "TooLong"],
        [{ decision: "toString" }, "InvalidParams"],
        [{ hash: "A".repeat(64) }, "InvalidParams"],
        [{ hash: `${hash}0` }, "InvalidParams"],
        [{ decision: 1 }, "InvalidParams"]
      ] as const) {
        const failure = yield* Effect.flip(record({ ...decided, ...more }))
        assert.strictEqual(failure._tag === "RpcError" ? failure.tag : failure._tag, tag, JSON.stringify(more))
      }
      assert.deepStrictEqual(yield* AuditLog.use((audit) => audit.tail(10)), [])
    }).pipe(Effect.provide(memoryAuditLog))
  )
})
