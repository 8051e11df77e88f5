/** The copy of entries that are committed elsewhere, on a disk that takes none of them. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import nodeFs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as path from "node:path"
import type { AuditCommit } from "../../../src/daemon/audit/AuditCommit.ts"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { TeamAway, TeamChanged } from "../../../src/domain/Team.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

let isFull = false
const { writeSync } = fs
beforeAll(() => {
  Object.assign(nodeFs, {
    writeSync: (fd: number, contents: any, ...place: ReadonlyArray<any>) => {
      // The head is a text, and overwrites one that is there.
      if (isFull && typeof contents !== "string") throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" })
      return writeSync(fd, contents, ...(place as [number, number]))
    }
  })
  syncBuiltinESMExports()
})
afterAll(() => {
  Object.assign(nodeFs, { writeSync })
  syncBuiltinESMExports()
})

describe("a copy of committed entries", () => {
  it.effect("is continued where it ends, and not where the commits do", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "audit.log")
      const entered: Array<number> = []
      const commit: AuditCommit = {
        enter: ({ seq }) => Effect.sync(() => void entered.push(seq)).pipe(Effect.as({ missed: "", facts: [] })),
        isEntered: () => false,
        put: () => Effect.void,
        now: Effect.succeed(1_800_000_000_000),
        others: { interval: Duration.seconds(5), nextNotices: Effect.succeed([]), exposures: Effect.never }
      }
      const withLog = (count: number) =>
        Effect.flatMap(AuditLog, ({ append }) =>
          Effect.forEach(Array.from({ length: count }), () => append([{ action: "daemon_start", success: true }]))
        ).pipe(Effect.provide(Layer.fresh(AuditLog.layer(file, undefined, {}, commit))))
      yield* withLog(2)
      isFull = true
      yield* withLog(3)
      isFull = false
      const copied = fs.readFileSync(file, "utf8").trimEnd().split("\n").length
      entered.length = 0
      yield* withLog(1)
      assert.strictEqual(copied, 2)
      assert.strictEqual(entered[0], copied)
    })
  )

  it.effect("is no failure of the log where another machine was first", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporaryDirectory, "audit.log")
      const fact = { action: "daemon_start", success: true } as const
      let answer: Effect.Effect<void, TeamAway | TeamChanged> = Effect.void
      const commit: AuditCommit = {
        enter: () => Effect.succeed({ missed: "", facts: [] }),
        isEntered: () => true,
        put: () => Effect.suspend(() => answer),
        now: Effect.succeed(1_800_000_000_000),
        others: { interval: Duration.seconds(5), nextNotices: Effect.succeed([]), exposures: Effect.never }
      }
      yield* Effect.gen(function* () {
        const audit = yield* AuditLog
        const failureAfter = (next: typeof answer) => {
          answer = next
          return Effect.andThen(
            Effect.ignore(audit.append([fact])),
            Effect.map(audit.diagnostics, ({ failure }) => failure)
          )
        }
        assert.isUndefined(yield* failureAfter(new TeamChanged()))
        assert.include(yield* failureAfter(new TeamAway({ reason: "a test" })), "a test")
        assert.include(yield* failureAfter(new TeamChanged()), "a test", "it does not say that the log works again")
        assert.isUndefined(yield* failureAfter(Effect.void))
      }).pipe(Effect.provide(Layer.fresh(AuditLog.layer(file, undefined, {}, commit))))
    })
  )
})
