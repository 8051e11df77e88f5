/**
 * A state file whose name may be a symbolic link.
 *
 * The link is resolved once, at a start. Everything is written beside the real file, because
 * a rename over the link would replace the link. A link that changes while the daemon runs
 * is not followed.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as path from "node:path"
import { attemptSync, type FileError, hasCode } from "./durableFile.ts"
import { pinDirectory, type PinnedDirectory } from "./pinDirectory.ts"

export interface PinnedFile {
  /** The name in the settings. */
  readonly name: string
  /** The real file: the same as `name` if that is no symbolic link. */
  readonly path: string
  /** The directory of the real file. */
  readonly directory: PinnedDirectory
  /** Throws if its directory is another one, or the link points elsewhere; the text becomes the end of a `FileError`. */
  readonly checkSync: () => void
  readonly check: Effect.Effect<void, FileError>
}

/** Pins the directory of the real file. */
export const pinFile = (name: string): Effect.Effect<PinnedFile, FileError, Scope.Scope> =>
  Effect.gen(function* () {
    const file = yield* attemptSync("resolve", name, () => resolveLink(name))
    const directory = yield* pinDirectory(path.dirname(file))
    const checkSync = () => {
      directory.checkSync()
      if (file !== name && resolveLink(name) !== file) throw new Error(`it is no longer a symbolic link to ${file}`)
    }
    return { name, path: file, directory, checkSync, check: attemptSync("write to", name, checkSync) }
  })

/**
 * Returns the real path of a symbolic link, even if nothing is there, and any other path unchanged. A linked directory
 * above the file is not resolved: `pinDirectory` follows those.
 */
export const resolveLink = (name: string): string => {
  if (fs.lstatSync(name, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return name
  try {
    return fs.realpathSync(name)
  } catch (cause) {
    // A use of the link fails for the same reason.
    if (!hasCode(cause, "ENOENT")) return name
    return resolveLink(path.resolve(realDirectory(path.dirname(name)), fs.readlinkSync(name)))
  }
}

const realDirectory = (directory: string): string => (fs.existsSync(directory) ? fs.realpathSync(directory) : directory)
