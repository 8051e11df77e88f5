/**
 * The file that keeps the store locked over restarts: secrets.age.locked, beside the store.
 *
 * That it exists is what counts, not what it holds. Whatever has its name, and a directory
 * that cannot be searched, means locked. If it was removed, the audit log says that the store
 * is locked.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { lockFilePath } from "../../domain/Secret.ts"
import { fromMillis, parseTimestamp } from "../../domain/Timestamp.ts"
import { type FileError, hasCode, removeDurably, replaceFile } from "../files/durableFile.ts"
import { pinDirectory } from "../files/pinDirectory.ts"

export interface LockState {
  /** When the store was locked, RFC 3339. */
  readonly since: string
  /** The number of its secrets, which a daemon that starts locked cannot count. */
  readonly secretCount: number
}

export interface LockFile {
  /** Returns undefined if the store is not locked. */
  readonly read: () => LockState | undefined
  readonly write: (state: LockState) => Effect.Effect<void, FileError>
  readonly remove: Effect.Effect<void, FileError>
}

/** Pins the directory of the store, so that the file is written to no other one. */
export const openLockFile = Effect.fn("openLockFile")(function* (secretsPath: string) {
  const file = lockFilePath(secretsPath)
  const { check, checkSync } = yield* pinDirectory(dirname(file))
  const lockFile: LockFile = {
    read: () => readLockFile(file),
    write: ({ secretCount, since }) => {
      const contents = `${JSON.stringify({ locked_at: since, secrets: secretCount })}\n`
      return Effect.asVoid(replaceFile(file, [Buffer.from(contents, "utf8")], { check: checkSync }))
    },
    remove: Effect.andThen(check, removeDurably(file))
  }
  return lockFile
})

const readLockFile = (file: string): LockState | undefined => {
  try {
    const stat = fs.lstatSync(file)
    const byFile = { since: fromMillis(Math.floor(stat.mtimeMs)).text, secretCount: 0 }
    return stat.isFile() && stat.size < 1024 ? { ...byFile, ...contentsOf(file) } : byFile
  } catch (cause) {
    return hasCode(cause, "ENOENT") ? undefined : { since: fromMillis(0).text, secretCount: 0 }
  }
}

const contentsOf = (file: string): Partial<LockState> => {
  try {
    const given: unknown = JSON.parse(fs.readFileSync(file, "utf8"))
    if (typeof given !== "object" || given === null) return {}
    const { locked_at: since, secrets }: { locked_at?: unknown; secrets?: unknown } = given
    return {
      ...(typeof since === "string" && Option.isSome(parseTimestamp(since)) ? { since } : {}),
      ...(typeof secrets === "number" && Number.isSafeInteger(secrets) ? { secretCount: secrets } : {})
    }
  } catch {
    return {}
  }
}

/** Keeps the state in memory only, for tests. */
export const memoryLockFile = (): LockFile => {
  let state: LockState | undefined
  return {
    read: () => state,
    write: (next) => Effect.sync(() => void (state = next)),
    remove: Effect.sync(() => void (state = undefined))
  }
}
