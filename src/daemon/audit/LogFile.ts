/**
 * An append-only file of lines: what is appended is on the disk when `append`
 * returns, or it is not in the file at all.
 *
 * It knows bytes and lines, not what they mean. It has one writer, which appends one
 * text at a time. Reading goes backwards in pieces (`LogReader`) over what was there
 * when it began, through the archives too, and never holds up an append.
 *
 * Somebody else may move the file away, cut it short or write into it. That is seen
 * when the writer looks (`follow`), which it does before each append; what somebody
 * took away is not brought back.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { attemptSync, FileError, fsyncDirectorySync } from "../files/durableFile.ts"
import { LogArchives } from "./logArchives.ts"
import { type LineVisitor, readLinesBackwards } from "./logReader.ts"
import { type PinnedDirectory, pinDirectory } from "../files/pinDirectory.ts"
import type { TornTail } from "./tornTail.ts"
import { repairTail } from "./tornTail.ts"

/** What somebody else did to the file since it was last looked at, and by how many bytes. */
export type FileChange =
  | { readonly _tag: "Same" }
  | { readonly _tag: "Moved" }
  | { readonly _tag: "Shorter" | "Longer"; readonly bytes: number }

export interface LogFile {
  /** Length in bytes of what is durably there. */
  readonly size: () => number
  /** Counts how often the file was moved away or cut short by somebody else. */
  readonly generation: () => number
  /** Goes on where the file of this name is now, and tells what became of it. */
  readonly follow: Effect.Effect<FileChange, FileError>
  /** Appends whole lines with one write and one fdatasync. On failure the file is cut back to its old length. */
  readonly append: (text: string) => Effect.Effect<void, FileError>
  /** Makes the file the youngest archive, goes on in an empty one, and drops the oldest if that may go, given what would be left. */
  readonly rotate: (keep: number, mayGo: (left: ReadonlyArray<string>) => boolean) => Effect.Effect<void, FileError>
  /** The archives, oldest first, and the file itself. */
  readonly files: () => ReadonlyArray<string>
  /** Lines from the last one backwards, for as long as `take` says true. */
  readonly readBackwards: (take: LineVisitor) => Effect.Effect<void, FileError>
}

/**
 * Opens the file, creating it with mode 0600. A torn last line is cut off and saved beside the file, so that the next
 * line does not melt into it; `isLine` tells a torn line from a whole one without line feed.
 */
export const openLog = (
  path: string,
  isLine: (line: string) => boolean,
  now: number
): Effect.Effect<{ readonly log: LogFile; readonly torn: TornTail | undefined }, FileError, Scope.Scope> =>
  Effect.gen(function* () {
    const directory = yield* pinDirectory(dirname(path))
    const holder = yield* Effect.acquireRelease(
      attemptSync("open", path, () => ({ file: openFile(path) })),
      ({ file }) => Effect.sync(() => retire(file))
    )
    const torn = yield* attemptSync("mend", path, () => repairTail(path, holder.file, isLine, now))
    const archives = yield* attemptSync("look beside", path, () => new LogArchives(path))
    return { log: make(path, holder, archives, directory), torn }
  })

export interface OpenLog {
  readonly fd: number
  readonly device: number
  readonly inode: number
  /** Bytes that are durably there. */
  size: number
  /** Reads under way: the descriptor is not closed under them, for its number may be given to another file. */
  readers: number
  retired: boolean
}

const { O_APPEND, O_CREAT, O_EXCL, O_RDWR } = fs.constants

const openFile = (path: string, flags = 0): OpenLog => {
  const fd = fs.openSync(path, O_RDWR | O_CREAT | O_APPEND | flags, 0o600)
  const stat = fs.fstatSync(fd)
  if (!stat.isFile()) {
    fs.closeSync(fd)
    throw new Error("not a regular file")
  }
  if ((stat.mode & 0o777) !== 0o600) fs.fchmodSync(fd, 0o600)
  return { fd, device: stat.dev, inode: stat.ino, size: stat.size, readers: 0, retired: false }
}

const retire = (file: OpenLog): void => {
  file.retired = true
  if (file.readers === 0) fs.closeSync(file.fd)
}

const release = (file: OpenLog): void => {
  file.readers -= 1
  if (file.retired && file.readers === 0) fs.closeSync(file.fd)
}

const lookAtPath = (path: string, file: OpenLog): FileChange => {
  const found = fs.statSync(path, { throwIfNoEntry: false })
  if (found?.dev !== file.device || found.ino !== file.inode) return { _tag: "Moved" }
  const bytes = found.size - file.size
  if (bytes === 0) return { _tag: "Same" }
  return { _tag: bytes < 0 ? "Shorter" : "Longer", bytes: Math.abs(bytes) }
}

const make = (path: string, holder: { file: OpenLog }, archives: LogArchives, directory: PinnedDirectory): LogFile => {
  /** Set while bytes of a failed append may still be behind the end. */
  let dirty = false
  let generation = 0

  const cutBack = () => {
    fs.ftruncateSync(holder.file.fd, holder.file.size)
    dirty = false
  }

  const goOnIn = (next: OpenLog) => {
    retire(holder.file)
    holder.file = next
    dirty = false
    fsyncDirectorySync(dirname(path))
  }

  const follow = (): FileChange => {
    directory.checkSync()
    if (dirty) cutBack()
    const fate = lookAtPath(path, holder.file)
    if (fate._tag === "Moved") {
      goOnIn(openFile(path))
      archives.refresh()
    } else if (fate._tag !== "Same") {
      holder.file.size = fs.fstatSync(holder.file.fd).size
    }
    if (fate._tag === "Moved" || fate._tag === "Shorter") generation += 1
    return fate
  }

  const rotate = (keep: number, mayGo: (left: ReadonlyArray<string>) => boolean) => {
    // The new file is there before the old one gives up its name: a system that has none to give leaves all as it is.
    const fresh = `${path}.new`
    fs.rmSync(fresh, { force: true })
    const next = openFile(fresh, O_EXCL)
    try {
      archives.archiveCurrent()
      fs.renameSync(fresh, path)
    } catch (cause) {
      retire(next)
      throw cause
    }
    goOnIn(next)
    archives.dropOldest(keep, mayGo)
  }

  const write = (bytes: Uint8Array) => {
    dirty = true
    for (let written = 0; written < bytes.length;) {
      written += fs.writeSync(holder.file.fd, bytes, written, bytes.length - written)
    }
  }

  const flush = Effect.callback<void, FileError>((resume) => {
    fs.fdatasync(holder.file.fd, (cause) => {
      resume(cause === null ? Effect.void : Effect.fail(new FileError({ operation: "flush", path, cause })))
    })
  })

  const append = (text: string) => {
    const bytes = Buffer.from(text, "utf8")
    return attemptSync("append to", path, () => write(bytes)).pipe(
      Effect.andThen(flush),
      Effect.tap(() =>
        Effect.sync(() => {
          holder.file.size += bytes.length
          dirty = false
        })
      ),
      Effect.tapError(() => Effect.ignore(attemptSync("cut back", path, cutBack))),
      Effect.uninterruptible
    )
  }

  /** Reads the file of this moment and the archives behind it, whatever becomes of them meanwhile. */
  const readBackwards = (take: LineVisitor) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        holder.file.readers += 1
        return { file: holder.file, size: holder.file.size, older: archives.all() }
      }),
      ({ file, older, size }) => readLinesBackwards(path, { fd: file.fd, size }, older, archives, take),
      ({ file }) => Effect.sync(() => release(file))
    )

  return {
    size: () => holder.file.size,
    files: () => [
      ...archives
        .all()
        .map((archive) => archives.pathOf(archive))
        .toReversed(),
      path
    ],
    generation: () => generation,
    follow: attemptSync("append to", path, follow),
    append,
    rotate: (keep, mayGo) => attemptSync("rotate", path, () => rotate(keep, mayGo)),
    readBackwards
  }
}
