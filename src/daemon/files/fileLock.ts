/**
 * A lock file that the kernel releases when its process ends, so it is never stale.
 *
 * The lock is SQLite's, on a file that stays when the lock is free. Nothing else in this
 * process may open that file: closing it would release the lock. Who holds a lock or
 * listens on a socket is found in /proc, for messages only; no decision depends on it.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { exitStatus } from "../../domain/exitStatus.ts"
import { attemptSync } from "./durableFile.ts"
import { statIfPresent } from "./pinDirectory.ts"
import { loadSqlite } from "./sqlite.ts"

/** Another process holds the lock; `owner` is its pid, if the system reports one. */
export class LockHeld extends Data.TaggedError("LockHeld")<{ readonly owner: number | undefined }> {}

/** The daemon cannot start, and a retry would fail too. `fix` is a hint, `exitStatus` is for the supervisor. */
export class StartError extends Data.TaggedError("StartError")<{
  readonly reason: string
  readonly fix: string
  readonly exitStatus: number
}> {
  override get message() {
    return this.reason
  }
}

export interface FileLock {
  readonly path: string
  /** Returns whether the path still names the file that is locked. */
  readonly isHeld: () => boolean
}

/** Several processes that try at once can all fail on the first attempt; with retries one succeeds. */
const busyTimeoutMillis = 250

/** Holds the lock until the scope closes. */
export const holdLock = Effect.fn("holdLock")(function* (path: string) {
  const { O_CREAT, O_NONBLOCK } = fs.constants
  // Through a link, another file would be locked, and created.
  if (yield* attemptSync("stat", path, () => fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink())) {
    return yield* new StartError({
      reason: `the lock file ${path} is a symbolic link`,
      fix: `Run: rm ${path}`,
      exitStatus: exitStatus.cannotCreate
    })
  }
  yield* attemptSync("create", path, () => fs.closeSync(fs.openSync(path, O_CREAT | O_NONBLOCK, 0o600)))
  const { DatabaseSync } = loadSqlite()
  const lockDatabase = () => {
    const database = new DatabaseSync(path)
    try {
      database.exec(`PRAGMA busy_timeout = ${busyTimeoutMillis}; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE`)
      return database
    } catch (cause) {
      database.close()
      throw cause
    }
  }
  yield* Effect.acquireRelease(
    Effect.try({ try: lockDatabase, catch: (cause) => cause }).pipe(Effect.catch((cause) => failLock(path, cause))),
    (database) => Effect.sync(() => database.close())
  )
  const locked = yield* attemptSync("stat", path, () => fs.statSync(path))
  const lock: FileLock = {
    path,
    isHeld: () => {
      const current = statIfPresent(path)
      return current?.dev === locked.dev && current.ino === locked.ino
    }
  }
  return lock
})

const failLock = Effect.fn("failLock")(function* (path: string, cause: unknown) {
  const reason = cause instanceof Error ? cause.message : String(cause)
  if (reason.includes("locked")) return yield* new LockHeld({ owner: yield* findLockOwner(path) })
  return yield* new StartError({
    reason: `cannot lock ${path}: ${reason}`,
    fix: "Check that file. It is empty and may be removed while no daemon runs",
    exitStatus: exitStatus.cannotCreate
  })
})

/**
 * Finds the process that holds the lock, for messages and waits of a command; "unknown" if its pid is. Elsewhere than on
 * Linux the lock is tried, shared and for a moment, which only delays a start at that moment.
 */
export const findHolder = (file: string): Effect.Effect<number | "unknown" | undefined> =>
  process.platform === "linux"
    ? findLockOwner(file)
    : Effect.sync(() => {
        if (!fs.existsSync(file)) return undefined
        const { DatabaseSync } = loadSqlite()
        try {
          const database = new DatabaseSync(file, { readOnly: true })
          try {
            database.exec("PRAGMA schema_version")
          } finally {
            database.close()
          }
        } catch (cause) {
          return cause instanceof Error && cause.message.includes("locked") ? "unknown" : undefined
        }
        return undefined
      })

/** Finds the process that holds a write lock on a file. */
export const findLockOwner = (file: string): Effect.Effect<number | undefined> =>
  orUndefined(async () => {
    const { dev, ino } = await fs.promises.stat(file, { bigint: true })
    const locks = (await fs.promises.readFile("/proc/locks", "utf8")).split("\n").flatMap((line) => {
      const [, pid, device, inode] = /^\d+: \S+ +\S+ +WRITE (\d+) (\w+:\w+):(\d+) /.exec(line) ?? []
      return inode === String(ino) && pid !== "0" ? [{ pid: Number(pid), device }] : []
    })
    // A file system with several volumes has other device numbers in /proc/locks than in stat(2).
    const exact = locks.filter(({ device }) => device === formatDevice(dev))
    return onlyOne((exact.length > 0 ? exact : locks).map(({ pid }) => pid))
  })

/**
 * Finds the process that listens on a socket file, even if that process hangs. /proc has the path of bind(2); a socket
 * that was renamed since is identified if it is the only such socket of its directory.
 */
export const findListener = (socketPath: string): Effect.Effect<number | undefined> =>
  orUndefined(async () => {
    const own = await fs.promises.lstat(socketPath)
    const directory = await fs.promises.realpath(path.dirname(socketPath))
    const bound: Array<string> = []
    const renamed: Array<string> = []
    for (const line of (await fs.promises.readFile("/proc/net/unix", "utf8")).split("\n")) {
      const [, inode, name] = /^\S+ \S+ \S+ 00010000 \S+ \S+ +(\d+) (\/.*)$/.exec(line) ?? []
      if (inode === undefined || name === undefined) continue
      if ((await fs.promises.realpath(path.dirname(name)).catch(() => "")) !== directory) continue
      const found = await fs.promises.lstat(name).catch(() => undefined)
      if (found === undefined) renamed.push(inode)
      else if (found.dev === own.dev && found.ino === own.ino) bound.push(inode)
    }
    const inodes = bound.length > 0 ? bound : renamed
    return inodes.length === 0 ? undefined : onlyOne(await processesWith(inodes.map((inode) => `socket:[${inode}]`)))
  })

/** Finds the processes that have one of these files open. */
const processesWith = async (links: ReadonlyArray<string>): Promise<ReadonlyArray<number>> => {
  const pids: Array<number> = []
  for (const pid of (await fs.promises.readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const descriptors = path.join("/proc", pid, "fd")
    for (const name of await fs.promises.readdir(descriptors).catch(() => [])) {
      if (links.includes(await fs.promises.readlink(path.join(descriptors, name)).catch(() => "")))
        pids.push(Number(pid))
    }
  }
  return pids
}

/** Returns the pid if there is exactly one: with two candidates the owner is unknown. */
const onlyOne = (pids: ReadonlyArray<number>): number | undefined => {
  const [pid, other] = new Set(pids)
  return other === undefined ? pid : undefined
}

/** Formats a device number as in /proc/locks; the bit layout is that of makedev(3). */
const formatDevice = (dev: bigint): string => {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n)
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n)
  return [major, minor].map((part) => part.toString(16).padStart(2, "0")).join(":")
}

const orUndefined = (find: () => Promise<number | undefined>): Effect.Effect<number | undefined> =>
  Effect.orElseSucceed(Effect.tryPromise(find), () => undefined)
