/**
 * Rejects the paths of a daemon that another user could replace, from the root down.
 */
import * as Effect from "effect/Effect"
import { exitStatus } from "../../domain/exitStatus.ts"
import { unsafePath } from "../../process/pathOwners.ts"
import { StartError } from "../files/fileLock.ts"

export const checkOwners = Effect.fn("checkOwners")(function* (paths: ReadonlyArray<string>) {
  for (const path of paths) {
    const unsafe = yield* Effect.sync(() => unsafePath(path))
    if (unsafe === undefined) continue
    const reason = unsafe.reason.startsWith(`${path} `) ? unsafe.reason : `${path} is not safe: ${unsafe.reason}`
    return yield* new StartError({ reason, fix: unsafe.fix, exitStatus: exitStatus.cannotCreate })
  }
})

/** Logs what `checkOwners` rejects: the directories of a socket for a group may belong to a member of that group. */
export const warnOfOwners = (path: string): Effect.Effect<void> =>
  Effect.catchTag(checkOwners([path]), "StartError", ({ fix, reason }) => Effect.logWarning(`${reason}. ${fix}`))
