/**
 * A lock file that the kernel releases when its process ends, so it is never stale.
 *
 * The lock is SQLite's, on a file that stays when the lock is free. Nothing else in
 * this process may open that file: closing it would release the lock. Removing the
 * file lets a second process take the lock; `isHeld` detects that.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { exitStatus } from "../../domain/exitStatus.ts"
import { attemptSync } from "./durableFile.ts"
import { findLockOwner } from "./findOwner.ts"
import { statIfPresent } from "./pinDirectory.ts"
import { StartError } from "./StartError.ts"

/** Another process holds the lock; `owner` is its pid, if the system reports one. */
export class LockHeld extends Data.TaggedError("LockHeld")<{ readonly owner: number | undefined }> {}

export interface FileLock {
  readonly path: string
  /** Returns whether the path still names the file that is locked. */
  readonly isHeld: () => boolean
}

/** Several processes that try at once can all fail on the first attempt; with retries one succeeds. */
const busyTimeoutMillis = 250

/** Holds the lock until the scope closes. */
export const holdLock = Effect.fn("holdLock")(function* (path: string) {
  const { O_CREAT, O_NONBLOCK } = fs.constants
  yield* attemptSync("create", path, () => fs.closeSync(fs.openSync(path, O_CREAT | O_NONBLOCK, 0o600)))
  const { DatabaseSync } = yield* Effect.promise(() => import("node:sqlite"))
  const lockDatabase = () => {
    const database = new DatabaseSync(path)
    try {
      database.exec(`PRAGMA busy_timeout = ${busyTimeoutMillis}; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE`)
      return database
    } catch (cause) {
      database.close()
      throw cause
    }
  }
  yield* Effect.acquireRelease(
    Effect.try({ try: lockDatabase, catch: (cause) => cause }).pipe(Effect.catch((cause) => failLock(path, cause))),
    (database) => Effect.sync(() => database.close())
  )
  const locked = yield* attemptSync("stat", path, () => fs.statSync(path))
  const lock: FileLock = {
    path,
    isHeld: () => {
      const current = statIfPresent(path)
      return current?.dev === locked.dev && current.ino === locked.ino
    }
  }
  return lock
})

const failLock = Effect.fn("failLock")(function* (path: string, cause: unknown) {
  const reason = cause instanceof Error ? cause.message : String(cause)
  if (reason.includes("locked")) return yield* new LockHeld({ owner: yield* findLockOwner(path) })
  return yield* new StartError({
    reason: `cannot lock ${path}: ${reason}`,
    fix: "Check that file. It is empty and may be removed while no daemon runs",
    exitStatus: exitStatus.cannotCreate
  })
})
