/**
 * Files that a start can do without: one that cannot be read is renamed, not removed.
 *
 * Most often it belongs to another user, because the daemon ran as root once. In a directory of
 * ours it can be renamed all the same, and then written again.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { type FileError, readIfPresent, renameDurably } from "./durableFile.ts"

/**
 * Reads a file. If that fails, renames it and returns what happened as `damage`; fails only if it cannot be renamed.
 * Files whose contents are wrong get a name with the same ending.
 */
export const readOrSetAside = Effect.fn("readOrSetAside")(function* (file: string) {
  const read = yield* Effect.result(readIfPresent(file))
  if (read._tag === "Success") return { contents: read.success, damage: undefined }
  return { contents: undefined, damage: yield* setFileAside(file, read.failure) }
})

/** Renames a file that this error keeps from being used; returns what happened, which is logged. */
export const setFileAside = Effect.fn("setFileAside")(function* (file: string, error: FileError) {
  // The file is sound if this process lacks descriptors or memory. A device, such as /dev/null, is not ours.
  if (["EMFILE", "ENFILE", "ENOMEM"].includes(error.code) || isDevice(file)) return yield* error
  const aside = yield* damagedName(file)
  yield* Effect.mapError(renameDurably(file, aside), () => error)
  const damage = `${error.message}; it was renamed to ${aside}`
  yield* Effect.logWarning(damage)
  return damage
})

const isDevice = (file: string): boolean => {
  try {
    const stat = fs.lstatSync(file)
    return stat.isCharacterDevice() || stat.isBlockDevice()
  } catch {
    return false
  }
}

/** Returns the name under which a damaged file is kept. */
export const damagedName = (file: string): Effect.Effect<string> =>
  Effect.map(Clock.currentTimeMillis, (now) => `${file}.damaged-${now}`)
