/**
 * One daemon per state directory and per socket; detects that the last one crashed.
 *
 * The kernel releases both locks with the process, so they are never stale (`fileLock`). A
 * run file exists while a daemon runs; if a start finds one, the last daemon crashed. Its pid
 * is only for messages, because the system may have reused it.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import * as path from "node:path"
import { exitStatus } from "../../domain/exitStatus.ts"
import { fileNames } from "../../domain/settingDefaults.ts"
import type { RunHistory } from "../../domain/runHistory.ts"
import { fromMillis, type Timestamp } from "../../domain/Timestamp.ts"
import { modeHint } from "../../process/pathOwners.ts"
import { attemptSync, type FileError, readIfPresent, replaceFileSync, tightenMode } from "../files/durableFile.ts"
import { holdLock, StartError } from "../files/fileLock.ts"
import { makeDirectory, pinDirectory } from "../files/pinDirectory.ts"
import { readOrSetAside } from "../files/setAside.ts"
import { checkOwners, warnOfOwners } from "./checkOwners.ts"
import { recordRun } from "./runsFile.ts"
import { claimSocketPath } from "./socketPath.ts"
import { watchDirectories } from "./watchDirectories.ts"

const RunFile = Schema.Struct({ pid: Schema.Int, started_at: Schema.String, socket: Schema.String })
const decodeRunFile = Schema.decodeUnknownOption(Schema.fromJsonString(RunFile))

/** The last daemon, which did not stop in order. */
export interface Crash {
  /** From its run file; undefined for the predecessor, which writes none. */
  readonly pid: number | undefined
  readonly startedAt: string | undefined
  /** Whether it left a socket. */
  readonly staleSocket: boolean
}

export interface InstancePaths {
  readonly directory: string
  /** All directories with files of the daemon, including the state directory. */
  readonly directories: ReadonlyArray<string>
  /** The files of the store. */
  readonly store: ReadonlyArray<string>
  /** The main socket, for the run file. */
  readonly socket: string
  readonly sockets: ReadonlyArray<ClaimedSocket>
  readonly lock: string
  readonly run: string
  readonly runs: string
}

interface ClaimedSocket {
  readonly path: string
  /** Whether a group may use it. */
  readonly isShared: boolean
}

export interface InstanceOptions {
  /** Whether this process has served before. */
  readonly isRestart: boolean
  /** The paths of the listening sockets that the supervisor passed to this process. */
  readonly activated: ReadonlySet<string>
  /** Whether a supervisor starts the daemon again when it ends. */
  readonly isSupervised: () => boolean
}

export class Instance extends Context.Service<
  Instance,
  {
    readonly pid: number
    readonly startedAt: Timestamp
    readonly crash: Crash | undefined
    /** Writes the run file; from then on an end without an orderly stop is a crash. */
    readonly markRunning: Effect.Effect<void, FileError>
    /** Whether the start came that far. */
    readonly hasServed: () => boolean
    /** The history of runs, including this one. */
    readonly runs: Effect.Effect<RunHistory>
    /** Stores that the current crash loop is reported. */
    readonly markCrashLoopReported: Effect.Effect<void>
    /** Sets why this run ends, for the run history. */
    readonly setExitReason: (reason: string) => Effect.Effect<void>
    /** Sets the last audit entry of this run, for the run history. */
    readonly setAuditEnd: (audit: { readonly seq: number; readonly hash: string }) => Effect.Effect<void>
    /** Waits until one of the daemon's directories is replaced; returns the reason. */
    readonly directoryReplaced: Effect.Effect<string>
  }
>()("agent-secrets/Instance") {
  /** Locks the state directory and claims the socket path. */
  static readonly layer = (paths: InstancePaths, { isRestart, activated, isSupervised }: InstanceOptions) =>
    Layer.effect(
      Instance,
      Effect.gen(function* () {
        if (!isRestart) yield* makeDirectory(paths.directory)
        const lock = yield* holdDirectory(paths)
        // Pinned before any other file is opened, so that a later swap is detected.
        const directories = yield* Effect.forEach(paths.directories, pinDirectory)
        const own = yield* pinDirectory(paths.directory)
        const { exists, last } = yield* readRunFile(paths)
        const startedAt = fromMillis(yield* Clock.currentTimeMillis)
        const runs = yield* recordRun(paths.runs, own, startedAt, exists, isSupervised())
        const claimed = yield* Effect.forEach(paths.sockets, (socket) => claim(socket, activated.has(socket.path)))
        const wasStale = claimed.some((socket) => socket.wasStale)

        let hasServed = false
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
            exists || wasStale ? { pid: last?.pid, startedAt: last?.started_at, staleSocket: wasStale } : undefined,
          ...runs,
          markRunning: Effect.suspend(() => {
            hasServed = true
            return Effect.andThen(own.check, replaceFileSync(paths.run, run))
          }),
          hasServed: () => hasServed,
          directoryReplaced: watchDirectories({
            directories,
            lock,
            hasStore: () => paths.store.some((file) => fs.existsSync(file))
          })
        }
      })
    )
}

const claim = Effect.fnUntraced(function* (socket: ClaimedSocket, activated: boolean) {
  const directory = path.dirname(socket.path)
  yield* socket.isShared ? warnOfOwners(directory) : checkOwners([directory])
  return yield* claimSocketPath(socket.path, activated)
})

/** Holds the lock of the state directory for as long as the scope lasts. */
export const holdDirectory = Effect.fn("holdDirectory")(function* (paths: InstancePaths) {
  const found = yield* attemptSync("stat", paths.directory, () => fs.statSync(paths.directory))
  if ((found.mode & 0o022) !== 0) {
    return yield* new StartError({
      reason: `the state directory ${paths.directory} is writable by other users`,
      fix: modeHint("go-w", { ...found, path: paths.directory }) ?? "Choose another directory in config.json",
      exitStatus: exitStatus.cannotCreate
    })
  }
  yield* checkOwners(paths.directories)
  if ((found.mode & 0o077) !== 0 && (yield* isOfOthers(paths))) {
    return yield* new StartError({
      reason: `the state directory ${paths.directory} holds other files, and is accessible to other users`,
      fix: 'Set "directory" in config.json to a directory of its own',
      exitStatus: exitStatus.cannotCreate
    })
  }
  if (yield* tightenMode(paths.directory, 0o700)) {
    yield* Effect.logWarning(`${paths.directory} was accessible to other users; its mode is now 0700`)
  }
  return yield* Effect.catchTag(holdLock(paths.lock), "LockHeld", ({ owner }) => rejectServed(paths, owner))
})

/** Returns whether a directory has files, and none of a daemon: as /etc has, whose mode must stay. */
const isOfOthers = ({ directory, lock, run, runs, sockets, store }: InstancePaths) => {
  const own = [lock, run, runs, ...store, ...sockets.map((socket) => socket.path)].map((file) => path.basename(file))
  const known = new Set([configName, ...Object.values(fileNames), ...own])
  return attemptSync("list", directory, () => {
    // A file system of its own, such as a volume of a container, begins with this.
    const names = fs.readdirSync(directory).filter((name) => name !== "lost+found")
    return names.length > 0 && !names.some((name) => known.has(name))
  })
}
const configName = "config.json"

/** Rejects a directory whose lock is held. A file system without locks refuses them as if another process had them. */
export const rejectServed = Effect.fn("rejectServed")(function* (paths: InstancePaths, owner: number | undefined) {
  const pid = owner ?? (yield* ownerInRunFile(paths))
  const [who, otherCause, place] =
    pid === undefined
      ? ["with an unknown pid", ", or its file system cannot lock files", ", on a local disk,"]
      : [`process ${pid}`, "", ""]
  return yield* new StartError({
    reason: `another daemon, ${who}, is serving ${paths.directory}${otherCause}`,
    fix: `Stop it first: secrets daemon stop. Or set another "directory"${place} in config.json`,
    exitStatus: exitStatus.alreadyRunning
  })
})

/** Reads the run file; `last` is undefined if it is missing, unreadable or invalid. */
const readRunFile = Effect.fn("readRunFile")(function* (paths: InstancePaths) {
  const { contents, damage } = yield* readOrSetAside(paths.run)
  return { exists: contents !== undefined || damage !== undefined, last: lastIn(contents) }
})

const lastIn = (contents: Buffer | undefined) =>
  contents === undefined ? undefined : Option.getOrUndefined(decodeRunFile(contents.toString("utf8")))

/** Finds the owner of the lock in the run file, which it writes soon after it took the lock. */
const ownerInRunFile = Effect.fn("ownerInRunFile")(function* (paths: InstancePaths) {
  for (let tries = 0; tries < 20; tries += 1) {
    // Another daemon holds the lock, so its file is only read.
    const last = lastIn(yield* Effect.orElseSucceed(readIfPresent(paths.run), () => undefined))
    if (last !== undefined && isAlive(last.pid)) return last.pid
    yield* Effect.sleep("100 millis")
  }
  return undefined
})

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (cause) {
    return cause instanceof Error && "code" in cause && cause.code === "EPERM"
  }
}
