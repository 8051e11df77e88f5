/**
 * Watches whether the daemon's directories are still the ones it opened.
 *
 * While one is missing, the daemon waits for it. If another has replaced it, the daemon
 * restarts on that one in the same process. An empty directory on another disk counts as
 * missing: it is probably under an unmounted volume, and would hide a new store.
 */
import * as Effect from "effect/Effect"
import { exitStatus } from "../../domain/exitStatus.ts"
import { type FileLock, StartError } from "../files/fileLock.ts"
import { type PinnedDirectory, statIfPresent } from "../files/pinDirectory.ts"

/** As long as that of `watchSocket`, so that one wake-up serves both. Every writer checks by itself too. */
const calmInterval = "4 seconds"
/** While a directory is missing or being replaced. */
const busyInterval = "1 second"
/** After this many checks a replaced directory counts even if it still changes. */
const maxChecks = 10

export interface WatchedDirectories {
  /** The first is the state directory. */
  readonly directories: ReadonlyArray<PinnedDirectory>
  readonly lock: FileLock
  /** Returns whether any file of a store exists. */
  readonly hasStore: () => boolean
}

/** A replaced directory counts only when its snapshot is stable, because it may be in the middle of a copy. */
type State =
  | { readonly status: "same" }
  | { readonly status: "missing"; readonly message: string }
  | { readonly status: "replaced"; readonly message: string; readonly snapshot: string | undefined }

/** Ends when the daemon must restart, with the reason. */
export const watchDirectories = Effect.fn("watchDirectories")(function* (watched: WatchedDirectories) {
  let last: State = { status: "same" }
  let checks = 0
  while (true) {
    yield* Effect.sleep(last.status === "same" ? calmInterval : busyInterval)
    const state = check(watched)
    checks = state.status === "replaced" ? checks + 1 : 0
    if (state.status === "replaced") {
      const isStable = last.status === "replaced" && last.snapshot === state.snapshot
      if (state.snapshot === undefined || isStable || checks === maxChecks) return state.message
    }
    if (state.status === "missing" && !(last.status === "missing" && last.message === state.message)) {
      yield* Effect.logError(state.message)
    }
    if (state.status === "same" && last.status === "missing") {
      yield* Effect.logInfo("the directory is back; the daemon continues")
    }
    last = state
  }
})

const check = ({ directories, hasStore, lock }: WatchedDirectories): State => {
  const found = directories.map((directory) => ({ directory, status: directory.status() }))
  const missing = found.find(({ status }) => status === "missing")?.directory
  if (missing !== undefined) {
    return {
      status: "missing",
      message: `${missing.path} is missing; leases and changes are rejected until it is back`
    }
  }
  const replaced = found.filter(({ status }) => status === "replaced").map(({ directory }) => directory)
  const [first] = replaced
  if (first === undefined) {
    return lock.isHeld()
      ? { status: "same" }
      : { status: "replaced", message: `${lock.path} was removed or replaced`, snapshot: undefined }
  }
  if (!hasStore() && replaced.some(({ device, path }) => statIfPresent(path)?.dev !== device)) {
    return {
      status: "missing",
      message:
        `${first.path} is now on another disk and has no store; leases and changes are rejected until the right one is back. ` +
        "To start with an empty store there, restart the daemon"
    }
  }
  return {
    status: "replaced",
    message: `another directory has replaced ${first.path}`,
    snapshot: snapshotOf(replaced.map(({ path }) => path))
  }
}

/** Returns a text that changes when an entry is added to or removed from one of the directories. */
const snapshotOf = (paths: ReadonlyArray<string>): string =>
  paths
    .map((path) => {
      const found = statIfPresent(path)
      return found === undefined ? "" : `${found.dev}:${found.ino}:${found.mtimeMs}`
    })
    .join(" ")

/** Waits until all directories exist and did not change for an interval. */
export const waitUntilStable = Effect.fn("waitUntilStable")(function* (paths: ReadonlyArray<string>) {
  let last: string | undefined
  while (true) {
    const exists = paths.every((path) => statIfPresent(path) !== undefined)
    const snapshot = exists ? snapshotOf(paths) : undefined
    if (snapshot !== undefined && snapshot === last) return
    last = snapshot
    yield* Effect.sleep(busyInterval)
  }
})

/**
 * Calls `run` with whether it ran before in this process; its result is why the run ended. Retries a failed restart,
 * because the secrets exist only in memory then, until another daemon serves the directory. The first run may fail.
 */
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
