/**
 * An append-only file of lines: after `append` its text is on disk, or nothing of it is.
 *
 * One writer appends. Readers see the lines that existed when they began, and block no
 * append (`logReader`). `follow` detects another process that moves, truncates or extends
 * the file. An end that an interrupted write has torn is repaired when the file is opened.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { attemptSync, FileError, fsyncDirectorySync } from "../files/durableFile.ts"
import { type PinnedFile, pinFile } from "../files/pinFile.ts"
import { LogArchives } from "./logArchives.ts"
import { chunkLength, lineFeed, type LineVisitor, maxLineLength, readLinesBackwards } from "./logReader.ts"

/** What another process did to the file since the last check, and by how many bytes. */
export type FileChange =
  | { readonly _tag: "Same" }
  | { readonly _tag: "Moved" }
  | { readonly _tag: "Shorter" | "Longer"; readonly bytes: number }

/**
 * The thread that serves flushes so few bytes itself, if the append before was as short and its flush took less than these
 * milliseconds. The way to another thread and back takes as long, and no other request waits: the two entries of an acquire
 * have some 700 bytes. Beside many clients a flush runs while their next requests are read.
 */
const [fewBytes, quickFlush] = [1024, 1]

/** Decides whether the oldest archive may be removed, given the files that would remain, oldest first. */
type CanDrop = (remaining: ReadonlyArray<string>) => boolean

export interface LogFile {
  /** Returns the durable length in bytes. */
  readonly size: () => number
  /** Counts how often another process moved or truncated the file. */
  readonly generation: () => number
  /** Returns whether another process has changed or moved the file since it was opened. */
  readonly isDisturbed: () => boolean
  /** Opens the file that the path names now, and reports what happened to it. */
  readonly follow: Effect.Effect<FileChange, FileError>
  /** Appends complete lines with one write and one fdatasync. A failure truncates the file to its old length. */
  readonly append: (text: string) => Effect.Effect<void, FileError>
  /** Appends complete lines at once, without a flush. Returns why that failed; then the file has its old length. */
  readonly appendUnflushed: (text: string) => FileError | undefined
  /** Flushes what was appended without. */
  readonly flush: Effect.Effect<void, FileError>
  /** Archives the file, continues in an empty one, and removes archives beyond `keep` if `canDrop` agrees. */
  readonly rotate: (keep: number, canDrop: CanDrop) => Effect.Effect<void, FileError>
  /** Returns the archives, oldest first, and then the file itself. */
  readonly files: () => ReadonlyArray<string>
  /** Passes lines to `visit` from the last one backwards, until it returns false. */
  readonly readBackwards: (visit: LineVisitor) => Effect.Effect<void, FileError>
}

/** Opens or creates the file, with mode 0600, and repairs its end; `isLine` recognizes a complete last line. */
export const openLog = (
  name: string,
  isLine: (line: string) => boolean,
  now: number
): Effect.Effect<{ readonly log: LogFile; readonly torn: TornTail | undefined }, FileError, Scope.Scope> =>
  Effect.gen(function* () {
    const pinned = yield* pinFile(name)
    const { path } = pinned
    const holder = yield* Effect.acquireRelease(
      attemptSync("open", path, () => ({ file: openFile(path) })),
      ({ file }) => Effect.sync(() => retire(file))
    )
    const torn = yield* attemptSync("repair", path, () => repairTail(path, holder.file, isLine, now))
    const archives = yield* attemptSync("list the archives of", path, () => new LogArchives(path))
    return { log: make(path, holder, archives, pinned), torn }
  })

interface OpenLog {
  readonly fd: number
  readonly device: number
  readonly inode: number
  /** Durable length in bytes. */
  size: number
  /** Reads in progress. They delay the close, because the system may reuse the descriptor for another file. */
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

const detectChange = (path: string, file: OpenLog): FileChange => {
  const found = fs.statSync(path, { throwIfNoEntry: false })
  if (found?.dev !== file.device || found.ino !== file.inode) return { _tag: "Moved" }
  const bytes = found.size - file.size
  if (bytes === 0) return { _tag: "Same" }
  return { _tag: bytes < 0 ? "Shorter" : "Longer", bytes: Math.abs(bytes) }
}

const make = (path: string, holder: { file: OpenLog }, archives: LogArchives, pinned: PinnedFile): LogFile => {
  /** Whether bytes of a failed append may still follow the durable length. */
  let dirty = false
  let generation = 0
  let wasChanged = false

  const truncate = () => {
    fs.ftruncateSync(holder.file.fd, holder.file.size)
    dirty = false
  }

  const switchTo = (next: OpenLog) => {
    retire(holder.file)
    holder.file = next
    dirty = false
    fsyncDirectorySync(dirname(path))
  }

  const follow = (): FileChange => {
    pinned.checkSync()
    if (dirty) truncate()
    const change = detectChange(path, holder.file)
    wasChanged ||= change._tag !== "Same"
    if (change._tag === "Moved") {
      switchTo(openFile(path))
      archives.refresh()
    } else if (change._tag !== "Same") {
      holder.file.size = fs.fstatSync(holder.file.fd).size
    }
    if (change._tag === "Moved" || change._tag === "Shorter") generation += 1
    return change
  }

  const rotate = (keep: number, canDrop: CanDrop) => {
    // Created before any rename, so that a failure, as on a full disk, changes nothing.
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
    switchTo(next)
    archives.dropOldest(keep, canDrop)
  }

  const write = (bytes: Uint8Array) => {
    dirty = true
    for (let written = 0; written < bytes.length;) {
      written += fs.writeSync(holder.file.fd, bytes, written, bytes.length - written)
    }
  }

  /** Makes a step of an append at once. Returns why it failed; then the file has its old length, or gets it before the next one. */
  const attemptNow = (operation: string, step: () => void): FileError | undefined => {
    try {
      step()
      return undefined
    } catch (cause) {
      undo()
      return new FileError({ operation, path, cause })
    }
  }
  const undo = () => {
    try {
      truncate()
    } catch {
      // It stays dirty.
    }
  }
  const settle = (length: number) => {
    holder.file.size += length
    dirty = false
  }

  /** The duration of the last flush, in milliseconds. */
  let flushTook = Infinity
  /** The length of the last append, in bytes. */
  let lastLength = 0
  const flush = Effect.callback<void, FileError>((resume) => {
    const begun = performance.now()
    fs.fdatasync(holder.file.fd, (cause) => {
      flushTook = performance.now() - begun
      resume(cause === null ? Effect.void : Effect.fail(new FileError({ operation: "flush", path, cause })))
    })
  })
  const flushHere = () => {
    const begun = performance.now()
    fs.fdatasyncSync(holder.file.fd)
    flushTook = performance.now() - begun
  }

  const append = (text: string) =>
    Effect.suspend(() => {
      const bytes = Buffer.from(text, "utf8")
      const isHere = Math.max(bytes.length, lastLength) <= fewBytes && flushTook < quickFlush
      lastLength = bytes.length
      const failure =
        attemptNow("append to", () => write(bytes)) ?? (isHere ? attemptNow("flush", flushHere) : undefined)
      if (failure !== undefined) return Effect.fail(failure)
      const flushed = isHere ? Effect.void : Effect.tapError(flush, () => Effect.sync(undo))
      return Effect.map(flushed, () => settle(bytes.length))
    }).pipe(Effect.uninterruptible)

  const appendUnflushed = (text: string) => {
    const bytes = Buffer.from(text, "utf8")
    const failure = attemptNow("append to", () => write(bytes))
    if (failure === undefined) settle(bytes.length)
    return failure
  }

  /** Reads the current file and its archives, even if they are renamed meanwhile. */
  const readBackwards = (visit: LineVisitor) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        holder.file.readers += 1
        return { file: holder.file, size: holder.file.size, older: archives.all() }
      }),
      ({ file, older, size }) => readLinesBackwards(path, { fd: file.fd, size }, older, archives, visit),
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
    isDisturbed: () => wasChanged || (!dirty && detectChange(path, holder.file)._tag !== "Same"),
    follow: attemptSync("append to", path, follow),
    append,
    appendUnflushed,
    flush,
    rotate: (keep, canDrop) => attemptSync("rotate", path, () => rotate(keep, canDrop)),
    readBackwards
  }
}

/** The bytes after the last line feed, and how they were repaired. */
export interface TornTail {
  readonly bytes: number
  /** The file with the bytes; undefined if the line was complete or the copy failed. */
  readonly savedAs: string | undefined
  readonly repair: "cut off" | "completed"
}

/**
 * Repairs the end of the open file. A complete last line gets its line feed. A partial one is cut off and saved in a
 * file whose name ends in `now`. Throws what node:fs throws.
 */
const repairTail = (
  path: string,
  file: { readonly fd: number; size: number },
  isLine: (line: string) => boolean,
  now: number
): TornTail | undefined => {
  const start = lastLineFeed(file) + 1
  const bytes = file.size - start
  if (bytes === 0) return undefined
  if (bytes <= maxLineLength && isLine(readAt(file.fd, start, bytes).toString("utf8"))) {
    fs.writeSync(file.fd, "\n")
    fs.fdatasyncSync(file.fd)
    file.size += 1
    return { bytes, savedAs: undefined, repair: "completed" }
  }
  const savedAs = save(file.fd, start, file.size, `${path}.torn-${now}`)
  file.size = start
  fs.ftruncateSync(file.fd, file.size)
  fs.fdatasyncSync(file.fd)
  return { bytes, savedAs, repair: "cut off" }
}

/** Finds the position of the last line feed; -1 if there is none. */
const lastLineFeed = (file: { readonly fd: number; readonly size: number }): number => {
  for (let position = file.size; position > 0;) {
    const length = Math.min(chunkLength, position)
    position -= length
    const found = readAt(file.fd, position, length).lastIndexOf(lineFeed)
    if (found >= 0) return position + found
  }
  return -1
}

/** Copies the tail to a new file; undefined if that fails, because a full disk must not prevent a start. */
const save = (fd: number, start: number, end: number, target: string): string | undefined => {
  let copy: number | undefined
  try {
    copy = fs.openSync(target, "wx", 0o600)
    for (let at = start; at < end; at += chunkLength) {
      fs.writeFileSync(copy, readAt(fd, at, Math.min(chunkLength, end - at)))
    }
    fs.fsyncSync(copy)
    return target
  } catch {
    if (copy !== undefined) fs.rmSync(target, { force: true })
    return undefined
  } finally {
    if (copy !== undefined) fs.closeSync(copy)
  }
}

const readAt = (fd: number, position: number, length: number): Buffer => {
  const chunk = Buffer.alloc(length)
  return chunk.subarray(0, fs.readSync(fd, chunk, 0, length, position))
}
