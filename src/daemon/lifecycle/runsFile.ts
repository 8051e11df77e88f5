/**
 * runs.json: how this daemon's runs began and ended, on the disk.
 *
 * It is written at each start and each end, and never in between. No daemon depends
 * on it: one that cannot be read is set aside, and one that cannot be written is a
 * line of the log.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as RunHistory from "../../domain/runHistory.ts"
import { readIfPresent, renameDurably, replaceFileSync } from "../files/durableFile.ts"
import type { PinnedDirectory } from "../files/pinDirectory.ts"

/** What the file says; nothing where there is none. */
export const readRuns = Effect.fnUntraced(
  function* (file: string, own: PinnedDirectory) {
    const contents = yield* readIfPresent(file)
    if (contents === undefined) return RunHistory.noRuns
    const history = RunHistory.decodeRunHistory(contents.toString("utf8"))
    if (Option.isSome(history)) return history.value
    const aside = `${file}.unreadable`
    yield* own.check
    yield* renameDurably(file, aside)
    yield* Effect.logWarning(
      `${file} cannot be read, so it is unknown how the last runs ended; it was renamed to ${aside}`
    )
    return RunHistory.noRuns
  },
  Effect.catchTag("FileError", (error) => Effect.as(Effect.logWarning(error.message), RunHistory.noRuns))
)

/** Replaces it; what cannot be written is only told of. */
export const writeRuns = (file: string, own: PinnedDirectory, history: RunHistory.RunHistory): Effect.Effect<void> =>
  Effect.andThen(own.check, replaceFileSync(file, RunHistory.encodeRunHistory(history))).pipe(
    Effect.catchTag("FileError", (error) => Effect.logWarning(error.message))
  )
