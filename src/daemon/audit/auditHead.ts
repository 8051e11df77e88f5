/**
 * audit.head.json: which entry of the audit log is the last, so that a log whose end
 * was cut off can be told from one that is whole.
 *
 * It is written in place behind each append, without a flush of its own: it may be
 * behind the log after a power cut, never ahead of it. Nothing depends on it but
 * the telling; where it cannot be written or read, all goes on.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { readIfPresent } from "../files/durableFile.ts"
import { pinDirectory } from "../files/pinDirectory.ts"

const AuditHead = Schema.Struct({
  /** The number of the last entry that was acknowledged. */
  seq: Schema.Int,
  /** The SHA-256 of its line, with the line feed. */
  hash: Schema.String,
  /** The number of the oldest entry that rotation has not dropped. */
  first: Schema.Int
})
export type AuditHead = typeof AuditHead.Type

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(AuditHead))

export const headPath = (auditPath: string): string => auditPath.replace(/(\.log)?$/, ".head.json")

/** What the file says; none where it is not there or cannot be understood. */
export const readAuditHead = (auditPath: string): Effect.Effect<Option.Option<AuditHead>> =>
  readIfPresent(headPath(auditPath)).pipe(
    Effect.map((contents) => (contents === undefined ? Option.none() : decode(contents.toString("utf8")))),
    Effect.orElseSucceed(() => Option.none())
  )

/** Always this long, so that a shorter one leaves nothing of a longer one. */
const length = 160

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = fs.constants

/** Writes the file over and over, in the directory that was there at first; what is no regular file is not written to. */
export const openAuditHead = Effect.fnUntraced(function* (auditPath: string) {
  const path = headPath(auditPath)
  const directory = yield* pinDirectory(dirname(path))
  const file = yield* Effect.acquireRelease(
    Effect.sync(() => ({ fd: openRegular(path), inode: inodeOf(path) })),
    ({ fd }) => Effect.sync(() => fd !== undefined && fs.closeSync(fd))
  )
  return (head: AuditHead): void => {
    // Looking costs some microseconds; a file that was removed would else be written where nobody finds it.
    if (file.fd === undefined || inodeOf(path) !== file.inode) {
      if (directory.status() !== "same") return
      if (file.fd !== undefined) fs.closeSync(file.fd)
      file.fd = openRegular(path)
      file.inode = inodeOf(path)
    }
    if (file.fd === undefined) return
    try {
      fs.writeSync(file.fd, `${JSON.stringify(head).padEnd(length - 1)}\n`, 0)
    } catch {
      // It stays behind the log, which is what it may be.
    }
  }
})

const openRegular = (path: string): number | undefined => {
  try {
    // Not to wait for the reader of a pipe.
    const fd = fs.openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
    if (fs.fstatSync(fd).isFile()) return fd
    fs.closeSync(fd)
    return undefined
  } catch {
    return undefined
  }
}

const inodeOf = (path: string): number | undefined => fs.statSync(path, { throwIfNoEntry: false })?.ino
