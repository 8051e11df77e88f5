/**
 * One daemon for one state directory, and what became of the one before.
 *
 * The lock is SQLite's on a file of its own: the kernel frees it with the process,
 * however that ends, so it is never stale and no pid has to be believed. The file
 * must not be opened by anything else in this process, or the lock is gone. A run
 * file tells who is running; where it is still there at a start, the last daemon
 * did not stop in order.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs/promises"
import type { Timestamp } from "../domain/Timestamp.ts"
import { fromMillis } from "../domain/Timestamp.ts"
import { exitStatus } from "../domain/exitStatus.ts"
import { attempt, type FileFault, readIfPresent, replaceFile, tightenMode } from "./durableFile.ts"
import { claimSocketPath } from "./socketPath.ts"
import { StartError } from "./StartError.ts"

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
  readonly socket: string
  readonly lock: string
  readonly run: string
}

export class Instance extends Context.Service<
  Instance,
  {
    readonly pid: number
    readonly startedAt: Timestamp
    readonly crash: Crash | undefined
    /** Says in the run file that this daemon serves; from here on an end that is not in order is a crash. */
    readonly markRunning: Effect.Effect<void, FileFault>
  }
>()("agent-secrets/Instance") {
  /** Takes the state directory and frees the place of the socket. */
  static readonly layer = (paths: InstancePaths) =>
    Layer.effect(
      Instance,
      Effect.gen(function* () {
        yield* holdDirectory(paths)
        const { isThere, last } = yield* readRunFile(paths)
        const { wasStale } = yield* claimSocketPath(paths.socket)

        const startedAt = fromMillis(yield* Clock.currentTimeMillis)
        const run = { pid: process.pid, started_at: startedAt.text, socket: paths.socket }
        let marked = false
        const remove = Effect.ignore(attempt("remove", paths.run, () => fs.rm(paths.run, { force: true })))
        yield* Effect.addFinalizer(() => (marked ? remove : Effect.void))
        return {
          pid: process.pid,
          startedAt,
          crash:
            isThere || wasStale ? { pid: last?.pid, startedAt: last?.started_at, staleSocket: wasStale } : undefined,
          markRunning: Effect.tap(replaceFile(paths.run, [Buffer.from(`${JSON.stringify(run)}\n`, "utf8")]), () =>
            Effect.sync(() => void (marked = true))
          )
        }
      })
    )
}

/** Makes the state directory, if need be, and holds its lock for as long as the scope lasts. */
export const holdDirectory = Effect.fnUntraced(function* (paths: InstancePaths) {
  yield* attempt("create", paths.directory, () => fs.mkdir(paths.directory, { recursive: true, mode: 0o700 }))
  const { mode } = yield* attempt("look at", paths.directory, () => fs.stat(paths.directory))
  if ((mode & 0o022) !== 0) {
    return yield* new StartError({
      reason: `the state directory ${paths.directory} can be written by others`,
      fix: "Choose a directory of your own, or take that right away: chmod go-w",
      exitStatus: exitStatus.cannotCreate
    })
  }
  if (yield* tightenMode(paths.directory, 0o700)) {
    yield* Effect.logWarning(`${paths.directory} was open to others; its mode is 0700 now`)
  }
  yield* lock(paths)
})

/** What the run file says; undefined where there is none, or it says nothing that can be read. */
const readRunFile = (paths: InstancePaths) =>
  Effect.map(readIfPresent(paths.run), (contents) => ({
    isThere: contents !== undefined,
    last: contents === undefined ? undefined : Option.getOrUndefined(decodeRunFile(contents.toString("utf8")))
  }))

const lock = (paths: InstancePaths) =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      yield* attempt("create", paths.lock, () => fs.open(paths.lock, "a", 0o600).then((file) => file.close()))
      const { DatabaseSync } = yield* Effect.promise(() => import("node:sqlite"))
      return yield* Effect.try({
        try: () => {
          const database = new DatabaseSync(paths.lock)
          database.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")
          return database
        },
        catch: (cause) => cause
      }).pipe(
        Effect.catch((cause) =>
          Effect.flatMap(readRunFile(paths), ({ last }) => Effect.fail(cannotLock(paths, last?.pid, cause)))
        )
      )
    }),
    (database) => Effect.sync(() => database.close())
  )

const cannotLock = (paths: InstancePaths, owner: number | undefined, cause: unknown): StartError => {
  const reason = cause instanceof Error ? cause.message : String(cause)
  if (!reason.includes("locked")) {
    return new StartError({
      reason: `cannot lock ${paths.lock}: ${reason}`,
      fix: `Look at what is wrong with that file; it holds nothing and may be removed while no daemon runs.`,
      exitStatus: exitStatus.cannotCreate
    })
  }
  const who = owner === undefined ? "another daemon" : `another daemon, process ${owner},`
  return new StartError({
    reason: `${who} is serving ${paths.directory}`,
    fix: "Stop that one first, or use another state directory.",
    exitStatus: exitStatus.alreadyRunning
  })
}
