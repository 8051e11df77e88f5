/**
 * audit.head.json: the last entry of the audit log, so that a truncated log is detected.
 *
 * It is written in place after each append, and flushed only at the start and at the stop. After
 * a power failure it may lag behind the log, but it is never ahead of it. If it cannot be
 * written, the daemon continues.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { attemptSync, fsyncDirectorySync, flushesRenames, readIfPresent } from "../files/durableFile.ts"
import { maxEntryNumber } from "../../domain/AuditChain.ts"
import { pinDirectory } from "../files/pinDirectory.ts"
import { resolveLink } from "../files/pinFile.ts"
import { setFileAside } from "../files/setAside.ts"

const AuditHead = Schema.Struct({
  /** The number of the last acknowledged entry. */
  seq: Schema.Int,
  /** The SHA-256 of its line, with the line feed. */
  hash: Schema.String,
  /** The number of the oldest entry that rotation has kept. */
  first: Schema.Int,
  /** The SHA-256 of secrets.age as it was last written; absent if unknown. */
  store: Schema.optionalKey(Schema.String),
  /** Since when the store is locked, by the log; absent if it is not. */
  locked: Schema.optionalKey(Schema.String),
  /** Whether a daemon appends to the log, so that it may have later entries; absent if unknown. */
  open: Schema.optionalKey(Schema.Boolean)
})
export type AuditHead = typeof AuditHead.Type

const decode = (text: string): Option.Option<AuditHead> =>
  Option.filter(decodeHead(text), ({ seq }) => seq >= 0 && seq < maxEntryNumber)
const decodeHead = Schema.decodeUnknownOption(Schema.fromJsonString(AuditHead))

/** Returns the path of the file, which lies beside the real log. */
export const headPath = (auditPath: string): string => resolveLink(auditPath).replace(/(\.log)?$/, ".head.json")

/** Reads the file; none if it is missing or invalid. */
export const readAuditHead = (auditPath: string): Effect.Effect<Option.Option<AuditHead>> =>
  readIfPresent(headPath(auditPath)).pipe(
    Effect.map((contents) => (contents === undefined ? Option.none() : decode(contents.toString("utf8")))),
    Effect.orElseSucceed(() => Option.none())
  )

/** Every write has this length, so that a shorter text leaves no rest of a longer one. */
const length = 320

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = fs.constants

/** Returns a function that overwrites the file, in the pinned directory and only if it is a regular file. */
export const openAuditHead = Effect.fnUntraced(function* (auditPath: string) {
  const path = headPath(auditPath)
  const directory = yield* pinDirectory(dirname(path))
  // One that cannot be written, such as another user's, would never name the last entry.
  yield* attemptSync("write", path, () => fs.closeSync(openWritable(path))).pipe(
    Effect.catch((error) => Effect.ignore(setFileAside(path, error)))
  )
  const file = yield* Effect.acquireRelease(
    Effect.sync(() => ({ fd: openRegular(path), inode: inodeOf(path) })),
    ({ fd }) => Effect.sync(() => fd !== undefined && fs.closeSync(fd))
  )
  return (head: AuditHead, isFlushed = false): void => {
    // A removed file would otherwise still be written, without a name.
    if (file.fd === undefined || inodeOf(path) !== file.inode) {
      if (directory.status() !== "same") return
      if (file.fd !== undefined) fs.closeSync(file.fd)
      file.fd = openRegular(path)
      file.inode = inodeOf(path)
    }
    if (file.fd === undefined) return
    try {
      fs.writeSync(file.fd, `${JSON.stringify(head).padEnd(length - 1)}\n`, 0)
      if (!isFlushed) return
      fs.fdatasyncSync(file.fd)
      if (!flushesRenames()) fsyncDirectorySync(directory.path)
    } catch {
      // The head may lag behind the log.
    }
  }
})

const openWritable = (path: string): number => {
  // O_NONBLOCK: opening a pipe must not wait for its reader.
  const fd = fs.openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
  if (fs.fstatSync(fd).isFile()) return fd
  fs.closeSync(fd)
  throw new Error("not a regular file")
}

const openRegular = (path: string): number | undefined => {
  try {
    return openWritable(path)
  } catch {
    return undefined
  }
}

const inodeOf = (path: string): number | undefined => fs.statSync(path, { throwIfNoEntry: false })?.ino
