/**
 * The flushes of the log and of what a start can rebuild from it, by platform. On macOS each
 * of them takes about as long as all of a request elsewhere.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { everything } from "../../../src/daemon/leases/LeaseScope.ts"
import { acquireFact } from "../../../src/domain/leaseFacts.ts"
import { hour } from "../../../src/domain/GoDuration.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { lease } from "./LeaseRepoSuite.ts"

const patched = ["fsyncSync", "fdatasyncSync", "fdatasync"] as const

/** Counts the flushes of files and directories while a platform is pretended. */
const countingFlushes = Effect.fnUntraced(function* (platform: string) {
  const counts = { files: 0, directories: 0 }
  const count = (descriptor: number) => {
    counts[fs.fstatSync(descriptor).isDirectory() ? "directories" : "files"] += 1
  }
  const handle = yield* Effect.promise(() => fs.promises.open(import.meta.dirname))
  const prototype = Object.getPrototypeOf(handle)
  yield* Effect.promise(() => handle.close())
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const before = Object.fromEntries(patched.map((name) => [name, fs[name]]))
      const real = { platform: process.platform, sync: prototype.sync }
      const replaced: any = fs
      for (const name of patched) {
        const original = replaced[name]
        replaced[name] = (descriptor: number, ...rest: ReadonlyArray<unknown>) => {
          count(descriptor)
          return original(descriptor, ...rest)
        }
      }
      prototype.sync = function (this: fs.promises.FileHandle) {
        count(this.fd)
        return real.sync.call(this)
      }
      syncBuiltinESMExports()
      Object.defineProperty(process, "platform", { value: platform })
      return { before, real }
    }),
    ({ before, real }) =>
      Effect.sync(() => {
        Object.assign(fs, before)
        prototype.sync = real.sync
        syncBuiltinESMExports()
        Object.defineProperty(process, "platform", { value: real.platform })
      })
  )
  /** Returns the flushes since the last call: of files, and of directories. */
  return () => {
    const found = [counts.files, counts.directories]
    Object.assign(counts, { files: 0, directories: 0 })
    return found
  }
})

/** Flushes of one run: of its start, of a lease, of the checkpoint after it, and of an orderly stop. */
const flushesOf = Effect.fnUntraced(function* (platform: string) {
  const directory = yield* temporaryDirectory
  const taken = yield* countingFlushes(platform)
  const leasesPath = path.join(directory, "leases.json")
  const layer = LeaseRepo.layer(leasesPath).pipe(Layer.provideMerge(AuditLog.layer(path.join(directory, "audit.log"))))
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(Layer.fresh(layer), scope)
  const start = taken()
  const one = lease("one")
  const issue = LeaseRepo.use((leases) =>
    leases.transaction(everything, (tx) => Result.succeed(tx.issue(one, acquireFact(one, hour))))
  )
  yield* Effect.provide(issue, context)
  const leased = taken()
  const written = Effect.sync(() => fs.existsSync(leasesPath) && !fs.existsSync(`${leasesPath}.tmp`))
  yield* TestClock.adjust("10 millis")
  yield* Effect.repeat(TestClock.withLive(Effect.andThen(Effect.sleep("5 millis"), written)), { until: Boolean })
  yield* Scope.close(scope, Exit.void)
  return { start, leased, rest: taken() }
})

describe("the flushes of a run", () => {
  it.effect("are of files alone on macOS, where each empties the cache of the drive", () =>
    Effect.gen(function* () {
      const linux = yield* Effect.scoped(flushesOf("linux"))
      const mac = yield* Effect.scoped(flushesOf("darwin"))
      assert.deepStrictEqual(linux.leased, [1, 0])
      for (const phase of ["start", "leased", "rest"] as const) {
        const [files = 0, directories] = linux[phase]
        assert.deepStrictEqual(mac[phase], [files, 0], phase)
        if (phase !== "leased") assert.isAbove(directories ?? 0, 0, phase)
      }
    })
  )
})
