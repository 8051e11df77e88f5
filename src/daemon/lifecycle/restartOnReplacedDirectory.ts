/**
 * Runs the daemon, and restarts it in the same process if its directory was replaced.
 *
 * The first start may fail. A failed restart is retried when the directory is stable,
 * because the secrets exist only in memory then. It gives up if another daemon already
 * serves the directory.
 */
import * as Effect from "effect/Effect"
import { exitStatus } from "../../domain/exitStatus.ts"
import { StartError } from "../files/StartError.ts"
import { waitUntilStable } from "./watchDirectories.ts"

/** Calls `run` with whether it ran before in this process; its result is why the run ended. */
export const restartOnReplacedDirectory = Effect.fn("restartOnReplacedDirectory")(function* <
  E extends { readonly message: string },
  R
>(
  directories: ReadonlyArray<string>,
  run: (isRestart: boolean) => Effect.Effect<"restart" | "directory replaced", E, R>
) {
  let lastMessage = ""
  const restart = run(true).pipe(
    Effect.tapError((error) => {
      const isNew = error.message !== lastMessage
      lastMessage = error.message
      return isNew && !isTaken(error) ? Effect.logError(`cannot restart yet: ${error.message}`) : Effect.void
    }),
    Effect.tapError((error) => (isTaken(error) ? Effect.void : waitUntilStable(directories))),
    Effect.retry({ while: (error) => !isTaken(error) })
  )
  let end = yield* run(false)
  while (end === "directory replaced") {
    lastMessage = ""
    end = yield* restart
  }
})

const isTaken = (error: unknown): boolean =>
  error instanceof StartError && error.exitStatus === exitStatus.alreadyRunning
