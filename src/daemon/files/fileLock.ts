/**
 * A lock that the kernel frees with the process that holds it, however that ends.
 *
 * It is SQLite's, on a file of its own, which stays there when the lock is free: it
 * is never stale, and no pid has to be believed. Nothing else in this process may
 * open that file, or the lock is gone. Whoever removes the file lets a second holder
 * in; `isHeld` tells.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { exitStatus } from "../../domain/exitStatus.ts"
import { attemptSync } from "./durableFile.ts"
import { findLockOwner } from "./findOwner.ts"
import { statIfPresent } from "./pinDirectory.ts"
import { StartError } from "./StartError.ts"

/** Somebody else holds the lock; who, if the system tells. */
export class LockHeld extends Data.TaggedError("LockHeld")<{ readonly owner: number | undefined }> {}

export interface FileLock {
  readonly path: string
  /** Whether the file of this name is still the one that is locked. */
  readonly isHeld: () => boolean
}

/**
 * How long it is tried. Of several that try at the same moment each may be in the way of the others, and none would
 * have it; with a few tries one of them does.
 */
const patience = 250

/** Holds the lock for as long as the scope lasts. */
export const holdLock = Effect.fnUntraced(function* (path: string) {
  const { O_CREAT, O_NONBLOCK } = fs.constants
  yield* attemptSync("create", path, () => fs.closeSync(fs.openSync(path, O_CREAT | O_NONBLOCK, 0o600)))
  const { DatabaseSync } = yield* Effect.promise(() => import("node:sqlite"))
  const take = () => {
    const database = new DatabaseSync(path)
    try {
      database.exec(`PRAGMA busy_timeout = ${patience}; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE`)
      return database
    } catch (cause) {
      database.close()
      throw cause
    }
  }
  yield* Effect.acquireRelease(
    Effect.try({ try: take, catch: (cause) => cause }).pipe(Effect.catch((cause) => refused(path, cause))),
    (database) => Effect.sync(() => database.close())
  )
  const own = yield* attemptSync("look at", path, () => fs.statSync(path))
  const lock: FileLock = {
    path,
    isHeld: () => {
      const found = statIfPresent(path)
      return found?.dev === own.dev && found.ino === own.ino
    }
  }
  return lock
})

const refused = Effect.fnUntraced(function* (path: string, cause: unknown) {
  const reason = cause instanceof Error ? cause.message : String(cause)
  if (reason.includes("locked")) return yield* new LockHeld({ owner: yield* findLockOwner(path) })
  return yield* new StartError({
    reason: `cannot lock ${path}: ${reason}`,
    fix: "Look at what is wrong with that file; it holds nothing and may be removed while no daemon runs.",
    exitStatus: exitStatus.cannotCreate
  })
})
