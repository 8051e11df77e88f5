/**
 * Looks, all the time, whether the directories of the daemon are still its own.
 *
 * One that is gone is waited for, and when it is back all goes on. One that was
 * replaced ends the waiting: the daemon has to start over on what is there now. But
 * an empty place on another disk is where a volume was taken away; the store is not
 * begun again there, for what was added would be lost from sight when the volume is
 * back. Every change of state is one line of the log.
 */
import * as Effect from "effect/Effect"
import type { FileLock } from "../files/fileLock.ts"
import { type PinnedDirectory, statIfPresent } from "../files/pinDirectory.ts"

/** Soon enough, for every writer looks by itself before it writes. As long as that of `watchSocket`, so that one waking serves both. */
const calmInterval = "4 seconds"
/** While something is being done to them. */
const interval = "1 second"
/** After so many looks one that never settles counts as well. */
const maxLooks = 10

export interface WatchedDirectories {
  /** The first is the state directory. */
  readonly directories: ReadonlyArray<PinnedDirectory>
  readonly lock: FileLock
  /** Whether any file of a store is there. */
  readonly hasStore: () => boolean
}

/** What one look sees. Another directory counts only when it did not change since the look before: it may be being filled. */
type Seen =
  | { readonly is: "ours" }
  | { readonly is: "away"; readonly says: string }
  | { readonly is: "replaced"; readonly says: string; readonly trace: string | undefined }

/** Ends when the daemon has to start over, with the reason. */
export const watchDirectories = Effect.fnUntraced(function* (watched: WatchedDirectories) {
  let before: Seen = { is: "ours" }
  let looks = 0
  while (true) {
    yield* Effect.sleep(before.is === "ours" ? calmInterval : interval)
    const seen = look(watched)
    looks = seen.is === "replaced" ? looks + 1 : 0
    if (seen.is === "replaced") {
      const hasSettled = before.is === "replaced" && before.trace === seen.trace
      if (seen.trace === undefined || hasSettled || looks === maxLooks) return seen.says
    }
    if (seen.is === "away" && !(before.is === "away" && before.says === seen.says)) yield* Effect.logError(seen.says)
    if (seen.is === "ours" && before.is === "away") yield* Effect.logInfo("the directory is back; the daemon goes on")
    before = seen
  }
})

const look = ({ directories, hasStore, lock }: WatchedDirectories): Seen => {
  const looks = directories.map((directory) => ({ directory, found: directory.status() }))
  const gone = looks.find(({ found }) => found === "missing")?.directory
  if (gone !== undefined)
    return { is: "away", says: `${gone.path} is gone; nothing is leased or changed until it is back` }
  const other = looks.filter(({ found }) => found === "replaced").map(({ directory }) => directory)
  const [first] = other
  if (first === undefined) {
    return lock.isHeld()
      ? { is: "ours" }
      : { is: "replaced", says: `${lock.path} was removed or replaced`, trace: undefined }
  }
  if (!hasStore() && other.some(({ device, path }) => statIfPresent(path)?.dev !== device)) {
    return {
      is: "away",
      says:
        `${first.path} is on another disk now, and there is no store; nothing is leased or changed until the right one is back. ` +
        "To begin with an empty store there, restart the daemon"
    }
  }
  return {
    is: "replaced",
    says: `another directory has taken the place of ${first.path}`,
    trace: traceOf(other.map(({ path }) => path))
  }
}

/** Changes with what is in the directories, as far as names go. */
const traceOf = (paths: ReadonlyArray<string>): string =>
  paths
    .map((path) => {
      const found = statIfPresent(path)
      return found === undefined ? "" : `${found.dev}:${found.ino}:${found.mtimeMs}`
    })
    .join(" ")

/** Waits until all of them are there and did not change for a second. */
export const waitUntilStable = Effect.fnUntraced(function* (paths: ReadonlyArray<string>) {
  let before: string | undefined
  while (true) {
    const isThere = paths.every((path) => statIfPresent(path) !== undefined)
    const now = isThere ? traceOf(paths) : undefined
    if (now !== undefined && now === before) return
    before = now
    yield* Effect.sleep(interval)
  }
})
