/**
 * Runs the daemon, and runs it again where its directory was replaced by another one.
 *
 * The first start fails as it may. A later one that cannot succeed yet is tried again
 * when what is in the directory has settled, for the secrets are in memory only; one
 * that finds another daemon there is the end.
 */
import * as Effect from "effect/Effect"
import { exitStatus } from "../../domain/exitStatus.ts"
import { StartError } from "../files/StartError.ts"
import { waitUntilStable } from "./watchDirectories.ts"

/** `once` runs it, and says why it came to an end; it is told whether this process ran it before. */
export const restartOnReplacedDirectory = Effect.fnUntraced(function* <E extends { readonly message: string }, R>(
  directories: ReadonlyArray<string>,
  once: (isRestart: boolean) => Effect.Effect<"restart" | "directory replaced", E, R>
) {
  let lastFault = ""
  const again = once(true).pipe(
    Effect.tapError((error) => {
      const isNew = error.message !== lastFault
      lastFault = error.message
      return isNew && !isTaken(error) ? Effect.logError(`cannot start over yet: ${error.message}`) : Effect.void
    }),
    Effect.tapError((error) => (isTaken(error) ? Effect.void : waitUntilStable(directories))),
    Effect.retry({ while: (error) => !isTaken(error) })
  )
  let end = yield* once(false)
  while (end === "directory replaced") {
    lastFault = ""
    end = yield* again
  }
})

const isTaken = (error: unknown): boolean =>
  error instanceof StartError && error.exitStatus === exitStatus.alreadyRunning
