/**
 * A directory that must stay the same inode that was opened here.
 *
 * Code that writes by path checks this right before. The directory stays open, so that its
 * inode number is not reused. A swap between the check and the write is still possible.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as path from "node:path"
import { attemptSync, type FileError, hasCode } from "./durableFile.ts"

export interface PinnedDirectory {
  readonly path: string
  /** Compares the path with the pinned inode. A path that stat(2) rejects is missing. */
  readonly status: () => "same" | "replaced" | "missing"
  /** The device number of its file system. */
  readonly device: number
  /** Throws if it is not the same; the text becomes the end of a `FileError`. */
  readonly checkSync: () => void
  readonly check: Effect.Effect<void, FileError>
}

export const pinDirectory = (path: string): Effect.Effect<PinnedDirectory, FileError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      attemptSync("open", path, () => fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)),
      (descriptor) => Effect.sync(() => fs.closeSync(descriptor))
    ),
    (descriptor) => {
      const pinned = fs.fstatSync(descriptor)
      const status = () => {
        const found = statIfPresent(path)
        if (found === undefined) return "missing"
        return found.dev === pinned.dev && found.ino === pinned.ino ? "same" : "replaced"
      }
      const checkSync = () => {
        const now = status()
        if (now !== "same") throw new Error(reasons[now])
      }
      return { path, status, device: pinned.dev, checkSync, check: attemptSync("write to", path, checkSync) }
    }
  )

const reasons = {
  missing: "the directory is missing; writes resume when it is back",
  replaced: "another directory has replaced it"
}

/** Returns the stat of a path; undefined if stat(2) fails. */
export const statIfPresent = (path: string): fs.Stats | undefined => {
  try {
    return fs.statSync(path)
  } catch {
    return undefined
  }
}

/** Creates a directory and its parents with mode 0700; an existing one is left as it is. */
export const makeDirectory = (directory: string) => attemptSync("create", directory, () => make(directory))

/** Creates it with its parents. Node's recursive mkdir never ends if an existing parent, as /proc, reports ENOENT. */
const make = (directory: string): void => {
  try {
    makeOne(directory)
  } catch (cause) {
    const parent = path.dirname(directory)
    if (!hasCode(cause, "ENOENT") || parent === directory) throw cause
    make(parent)
    makeOne(directory)
  }
}

const makeOne = (directory: string): void => {
  try {
    fs.mkdirSync(directory, { mode: 0o700 })
  } catch (cause) {
    if (!hasCode(cause, "EEXIST")) throw cause
    const found = statIfPresent(directory)
    if (found === undefined) throw new Error("a dangling symbolic link has that name", { cause })
    if (!found.isDirectory()) throw new Error("a file that is not a directory has that name", { cause })
  }
}
