/**
 * Changes trusted.json: durably, and never two changes at once.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { renderTrustList } from "../../../domain/ProjectTrust.ts"
import { replaceFileSync } from "../../../daemon/files/durableFile.ts"
import { holdLock } from "../../../daemon/files/fileLock.ts"
import { makeDirectory, pinDirectory } from "../../../daemon/files/pinDirectory.ts"
import type { CommandError } from "../../command/CommandError.ts"
import { readTrusted, type TrustList, trustListLocation, unusableList } from "./trustList.ts"

/** Applies a change to the list on the disk. */
export const changeTrustList = (change: (list: TrustList) => TrustList): Effect.Effect<void, CommandError> =>
  Effect.gen(function* () {
    const { directory, file } = yield* trustListLocation
    const replace = Effect.gen(function* () {
      yield* makeDirectory(directory)
      const pinned = yield* pinDirectory(directory)
      yield* holdLock(`${file}.lock`).pipe(
        Effect.retry({ while: ({ _tag }) => _tag === "LockHeld", times: 100, schedule: Schedule.spaced("50 millis") }),
        Effect.catchTag("LockHeld", () => Effect.fail(new Error("another command is changing it")))
      )
      const list = readTrusted(directory, file)
      yield* pinned.check
      yield* replaceFileSync(file, renderTrustList(change(list)))
    })
    yield* Effect.mapError(Effect.scoped(replace), ({ message }) => unusableList(file, message))
  })
