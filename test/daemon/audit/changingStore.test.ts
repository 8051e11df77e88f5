/**
 * A verification beside a daemon that changes the store all the time: it cannot compare the
 * store, and reports no other one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { verifyAuditLog } from "../../../src/daemon/audit/verifyAuditLog.ts"
import { addFact, withStore } from "../../../src/domain/storeFacts.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

describe("the verification of the audit log", () => {
  it.live("compares no store that changes each time, and any other one", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const log = path.join(directory, "audit.log")
      const stores = ["one", "two"].map((name) => path.join(directory, name))
      for (const file of stores) fs.writeFileSync(file, file)
      const append = AuditLog.use((audit) => audit.append([withStore(addFact("db"), "0".repeat(64))]))
      yield* Effect.provide(append, AuditLog.layer(log))
      let reads = 0
      const findings = (secrets: () => string) =>
        Effect.map(
          verifyAuditLog(log, {
            beside: {
              get secrets() {
                return secrets()
              }
            }
          }),
          (report) => report.findings.map(({ kind }) => kind)
        )
      assert.deepStrictEqual(yield* findings(() => stores[(reads += 1) % 2] ?? ""), [])
      assert.deepStrictEqual(yield* findings(() => stores[0] ?? ""), ["store"])
    }).pipe(Effect.scoped)
  )
})
