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
import { readIfPresent } from "./durableFile.ts"

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
export const readHead = (auditPath: string): Effect.Effect<Option.Option<AuditHead>> =>
  readIfPresent(headPath(auditPath)).pipe(
    Effect.map((contents) => (contents === undefined ? Option.none() : decode(contents.toString("utf8")))),
    Effect.orElseSucceed(() => Option.none())
  )

/** Always this long, so that a shorter one leaves nothing of a longer one. */
const length = 160

const { O_CREAT, O_NOFOLLOW, O_WRONLY } = fs.constants

/** Writes the file over and over, in the directory that was there at first. */
export const openHead = (auditPath: string) => {
  const path = headPath(auditPath)
  const open = () => fs.openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600)
  return Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => ({ fd: attemptOpen(open), inode: inodeOf(path) })),
      ({ fd }) => Effect.sync(() => fd !== undefined && fs.closeSync(fd))
    ),
    (file) => (head: AuditHead) => {
      // Looking costs some microseconds; a file that was removed would else be written where nobody finds it.
      const inode = inodeOf(path)
      if (file.fd === undefined || inode !== file.inode) {
        if (!fs.existsSync(dirname(path))) return
        if (file.fd !== undefined) fs.closeSync(file.fd)
        file.fd = attemptOpen(open)
        file.inode = inodeOf(path)
      }
      if (file.fd === undefined) return
      try {
        fs.writeSync(file.fd, `${JSON.stringify(head).padEnd(length - 1)}\n`, 0)
      } catch {
        // It stays behind the log, which is what it may be.
      }
    }
  )
}

const attemptOpen = (open: () => number): number | undefined => {
  try {
    return open()
  } catch {
    return undefined
  }
}

const inodeOf = (path: string): number | undefined => fs.statSync(path, { throwIfNoEntry: false })?.ino
