/**
 * A directory that must stay the one it was when it was opened here.
 *
 * Paths are names: a directory can be moved away, removed, or covered by a volume
 * while the daemon runs, and another can stand there under the same name. Whoever
 * writes into one by its name asks this first, right before. It is held open, so
 * that the system gives its number to no other one. What remains is a swap between
 * the question and the write.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { FileError } from "./durableFile.ts"

export interface PinnedDirectory {
  readonly path: string
  /** What is under that name now. What cannot be looked at is gone. */
  readonly status: () => "same" | "another" | "gone"
  /** The disk it is on. */
  readonly device: number
  /** Throws if it is not the same. The words are for the end of a `FileError`. */
  readonly checkSync: () => void
  readonly check: Effect.Effect<void, FileError>
}

export const pinDirectory = (path: string): Effect.Effect<PinnedDirectory, FileError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.try({
        try: () => fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY),
        catch: (cause) => new FileError({ operation: "open", path, cause })
      }),
      (descriptor) => Effect.sync(() => fs.closeSync(descriptor))
    ),
    (descriptor) => {
      const own = fs.fstatSync(descriptor)
      const status = () => {
        const found = statIfPresent(path)
        if (found === undefined) return "gone"
        return found.dev === own.dev && found.ino === own.ino ? "same" : "another"
      }
      const checkSync = () => {
        const found = status()
        if (found !== "same") throw new Error(reasons[found])
      }
      return {
        path,
        status,
        device: own.dev,
        checkSync,
        check: Effect.try({
          try: checkSync,
          catch: (cause) => new FileError({ operation: "write into", path, cause })
        })
      }
    }
  )

const reasons = {
  gone: "the directory is gone; when it is back, so is the service",
  another: "another directory has taken its place"
}

/** What is under a name now; undefined if there is nothing that can be looked at. */
export const statIfPresent = (path: string): fs.Stats | undefined => {
  try {
    return fs.statSync(path)
  } catch {
    return undefined
  }
}
