/**
 * One daemon for one state directory and one socket, and what became of the one before.
 *
 * The lock of the directory and that of the socket go with the process, so neither is
 * ever stale (`fileLock`). A run file tells who is running; where it is still there at
 * a start, the last daemon did not stop in order. The pid in it is for messages only:
 * by now it may be somebody else's. How the runs before began and ended is in a file
 * of its own (`runsFile`).
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import * as RunHistory from "../../domain/runHistory.ts"
import type { Timestamp } from "../../domain/Timestamp.ts"
import { fromMillis } from "../../domain/Timestamp.ts"
import { exitStatus } from "../../domain/exitStatus.ts"
import { attemptSync, type FileError, readIfPresent, replaceFileSync, tightenMode } from "../files/durableFile.ts"
import { holdLock } from "../files/fileLock.ts"
import { makeDirectory } from "../files/makeDirectory.ts"
import { readRuns, writeRuns } from "./runsFile.ts"
import { type PinnedDirectory, pinDirectory } from "../files/pinDirectory.ts"
import { claimSocketPath } from "./socketPath.ts"
import { StartError } from "../files/StartError.ts"
import { watchDirectories } from "./watchDirectories.ts"

const RunFile = Schema.Struct({ pid: Schema.Int, started_at: Schema.String, socket: Schema.String })
const decodeRunFile = Schema.decodeUnknownOption(Schema.fromJsonString(RunFile))

/** A daemon that did not stop in order. */
export interface Crash {
  /** As it wrote them; undefined if it was the predecessor, which wrote nothing. */
  readonly pid: number | undefined
  readonly startedAt: string | undefined
  /** It left a dead socket behind. */
  readonly staleSocket: boolean
}

export interface InstancePaths {
  readonly directory: string
  /** All directories with files of the daemon, the state directory among them. */
  readonly directories: ReadonlyArray<string>
  /** The files by which a store is known to be there. */
  readonly store: ReadonlyArray<string>
  readonly socket: string
  readonly lock: string
  readonly run: string
  readonly runs: string
}

export interface InstanceOptions {
  /** This process has served before. */
  readonly isRestart: boolean
  /** The supervisor listens on the socket and passes it to this process. */
  readonly activated: boolean
}

export class Instance extends Context.Service<
  Instance,
  {
    readonly pid: number
    readonly startedAt: Timestamp
    readonly crash: Crash | undefined
    /** Says in the run file that this daemon serves; from here on an end that is not in order is a crash. */
    readonly markRunning: Effect.Effect<void, FileError>
    /** How the runs went, this one included. */
    readonly runs: Effect.Effect<RunHistory.RunHistory>
    /** Remembers that the crash loop that goes on was told of. */
    readonly markCrashLoopReported: Effect.Effect<void>
    /** What ends this run, for those who ask when no daemon runs. */
    readonly setExitReason: (reason: string) => Effect.Effect<void>
    /** Waits until what is under the names of the daemon's directories is no longer its own; gives the reason. */
    readonly directoryReplaced: Effect.Effect<string>
  }
>()("agent-secrets/Instance") {
  /** Takes the state directory and frees the place of the socket. */
  static readonly layer = (paths: InstancePaths, { isRestart, activated }: InstanceOptions) =>
    Layer.effect(
      Instance,
      Effect.gen(function* () {
        if (!isRestart) yield* makeDirectory(paths.directory)
        const lock = yield* holdDirectory(paths)
        // Before anybody else opens one: what is swapped from here on is noticed.
        const directories = yield* Effect.forEach(paths.directories, pinDirectory)
        const own = yield* pinDirectory(paths.directory)
        const { isThere, last } = yield* readRunFile(paths)
        const startedAt = fromMillis(yield* Clock.currentTimeMillis)
        const runs = yield* recordRun(paths.runs, own, startedAt, isThere)
        const { wasStale } = yield* claimSocketPath(paths.socket, activated)

        const run = `${JSON.stringify({ pid: process.pid, started_at: startedAt.text, socket: paths.socket })}\n`
        const removeOwn = Effect.gen(function* () {
          yield* own.check
          if ((yield* readIfPresent(paths.run))?.toString("utf8") !== run) return
          yield* attemptSync("remove", paths.run, () => fs.rmSync(paths.run, { force: true }))
        })
        yield* Effect.addFinalizer(() => Effect.ignore(removeOwn))
        return {
          pid: process.pid,
          startedAt,
          crash:
            isThere || wasStale ? { pid: last?.pid, startedAt: last?.started_at, staleSocket: wasStale } : undefined,
          ...runs,
          markRunning: Effect.andThen(own.check, replaceFileSync(paths.run, run)),
          directoryReplaced: watchDirectories({
            directories,
            lock,
            hasStore: () => paths.store.some((file) => fs.existsSync(file))
          })
        }
      })
    )
}

/** Writes down that a run begins, and at the end of the scope how it ended; a start that fails is such an end as well. */
const recordRun = Effect.fnUntraced(function* (
  file: string,
  own: PinnedDirectory,
  startedAt: Timestamp,
  crash: boolean
) {
  let history = RunHistory.beginRun(yield* readRuns(file, own), process.pid, startedAt, crash)
  let because = "it was told to stop while it started"
  const change = (next: RunHistory.RunHistory) =>
    Effect.andThen(
      Effect.sync(() => void (history = next)),
      writeRuns(file, own, next)
    )
  yield* change(history)
  yield* Effect.addFinalizer((exit) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const failed = Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
      return change(RunHistory.endRun(history, fromMillis(now), failed ? messageOf(exit.cause) : because, failed))
    })
  )
  return {
    runs: Effect.sync(() => history),
    markCrashLoopReported: Effect.suspend(() => change(RunHistory.markCrashLoopReported(history))),
    setExitReason: (reason: string) => Effect.sync(() => void (because = reason))
  }
})

const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

/** Holds the lock of the state directory for as long as the scope lasts. */
export const holdDirectory = Effect.fnUntraced(function* (paths: InstancePaths) {
  const found = yield* attemptSync("stat", paths.directory, () => fs.statSync(paths.directory))
  if ((found.mode & 0o022) !== 0) {
    return yield* new StartError({
      reason: `the state directory ${paths.directory} can be written by others`,
      fix: `Choose a directory of your own, or take that right away: chmod go-w ${paths.directory}`,
      exitStatus: exitStatus.cannotCreate
    })
  }
  if (yield* tightenMode(paths.directory, 0o700)) {
    yield* Effect.logWarning(`${paths.directory} was open to others; its mode is 0700 now`)
  }
  return yield* Effect.catchTag(holdLock(paths.lock), "LockHeld", ({ owner }) =>
    Effect.flatMap(owner === undefined ? ownerInRunFile(paths) : Effect.succeed(owner), (pid) =>
      Effect.fail(
        new StartError({
          reason: `another daemon, ${pid === undefined ? "which does not tell its pid" : `process ${pid}`}, is serving ${paths.directory}`,
          fix: 'Stop that one first, or give this one a config.json with another "directory".',
          exitStatus: exitStatus.alreadyRunning
        })
      )
    )
  )
})

/** What the run file says; undefined where there is none, or it says nothing that can be read. */
const readRunFile = (paths: InstancePaths) =>
  Effect.map(readIfPresent(paths.run), (contents) => ({
    isThere: contents !== undefined,
    last: contents === undefined ? undefined : Option.getOrUndefined(decodeRunFile(contents.toString("utf8")))
  }))

/** Where the system does not name the owner of a lock: the pid in the run file, which it writes a moment after it took it. */
const ownerInRunFile = Effect.fnUntraced(function* (paths: InstancePaths) {
  for (let tries = 0; tries < 20; tries += 1) {
    const { last } = yield* readRunFile(paths)
    if (last !== undefined && lives(last.pid)) return last.pid
    yield* Effect.sleep("100 millis")
  }
  return undefined
})

const lives = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (cause) {
    return cause instanceof Error && "code" in cause && cause.code === "EPERM"
  }
}
