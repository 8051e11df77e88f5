/**
 * An append-only file of lines: what is appended is on the disk when `append`
 * returns, or it is not in the file at all.
 *
 * It knows bytes and lines, not what they mean. It has one writer, which appends
 * one text at a time. Reading goes backwards from the end, in pieces, on what was
 * there when the reading began, and never holds up an append.
 *
 * A file that was renamed or removed under the writer is noticed before the next
 * append, which then goes to a new file of the old name.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { attempt, FileFault } from "./durableFile.ts"

export interface LogFile {
  /** Length in bytes of what is durably there. */
  readonly size: () => number
  /** Appends whole lines with one write and one fdatasync. On failure the file is cut back to its old length. */
  readonly append: (text: string) => Effect.Effect<void, FileFault>
  /** Lines from the one that ends at `end` (default: the last) backwards, for as long as `take` says true. */
  readonly backwards: (take: (line: string) => boolean, end?: number) => Effect.Effect<void, FileFault>
  /** The lines from a byte offset to the end, in order. */
  readonly forwards: (offset: number) => Effect.Effect<ReadonlyArray<string>, FileFault>
}

const pieceLength = 64 * 1024
const lineFeed = 0x0a

/** What stood behind the last line feed when the file was opened. */
export interface TornTail {
  readonly bytes: number
  /** Where the bytes were put, or undefined if they were a whole line that only lacked its line feed. */
  readonly savedAs: string | undefined
}

/**
 * Opens the file, creating it with mode 0600. A torn last line is cut off and saved beside the file, so that the next
 * line does not melt into it; `isLine` tells a torn line from a whole one without line feed.
 */
export const open = (
  path: string,
  isLine: (line: string) => boolean,
  now: number
): Effect.Effect<{ readonly log: LogFile; readonly torn: TornTail | undefined }, FileFault, Scope.Scope> =>
  Effect.gen(function* () {
    const file = yield* Effect.acquireRelease(
      tryFile("open", path, () => openFile(path)),
      (opened) => Effect.sync(() => fs.closeSync(opened.fd))
    )
    const torn = yield* tryFile("mend", path, () => mend(path, file, isLine, now))
    return { log: make(path, file), torn }
  })

interface OpenFile {
  fd: number
  size: number
  device: number
  inode: number
}

const tryFile = <A>(operation: string, path: string, run: () => A): Effect.Effect<A, FileFault> =>
  Effect.try({ try: run, catch: (cause) => new FileFault({ operation, path, cause }) })

const openFile = (path: string): OpenFile => {
  const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_APPEND, 0o600)
  const stat = fs.fstatSync(fd)
  if (!stat.isFile()) {
    fs.closeSync(fd)
    throw new Error("not a regular file")
  }
  if ((stat.mode & 0o077) !== 0) fs.fchmodSync(fd, 0o600)
  return { fd, size: stat.size, device: stat.dev, inode: stat.ino }
}

const make = (path: string, file: OpenFile): LogFile => {
  /** Set while bytes of a failed append may still be behind the end. */
  let dirty = false

  const cutBack = () => {
    fs.ftruncateSync(file.fd, file.size)
    dirty = false
  }

  const write = (bytes: Uint8Array) => {
    if (dirty) cutBack()
    reopenIfMoved(path, file)
    dirty = true
    for (let written = 0; written < bytes.length;) {
      written += fs.writeSync(file.fd, bytes, written, bytes.length - written)
    }
  }

  const flush = Effect.callback<void, FileFault>((resume) => {
    fs.fdatasync(file.fd, (cause) => {
      resume(cause === null ? Effect.void : Effect.fail(new FileFault({ operation: "flush", path, cause })))
    })
  })

  const append = (text: string) => {
    const bytes = Buffer.from(text, "utf8")
    return tryFile("append to", path, () => write(bytes)).pipe(
      Effect.andThen(flush),
      Effect.tap(() =>
        Effect.sync(() => {
          file.size += bytes.length
          dirty = false
        })
      ),
      Effect.tapError(() => Effect.ignore(tryFile("cut back", path, cutBack))),
      Effect.uninterruptible
    )
  }

  const read = (position: number, length: number) =>
    attempt("read", path, () => {
      const piece = Buffer.alloc(length)
      return new Promise<Buffer>((resolve, reject) =>
        fs.read(file.fd, piece, 0, length, position, (cause, count) =>
          cause === null ? resolve(piece.subarray(0, count)) : reject(cause)
        )
      )
    })

  const backwards = Effect.fnUntraced(function* (take: (line: string) => boolean, end = file.size) {
    let rest: Buffer = Buffer.alloc(0)
    let position = end
    while (position > 0) {
      const length = Math.min(pieceLength, position)
      position -= length
      const piece = Buffer.concat([yield* read(position, length), rest])
      let lineEnd = piece.length
      while (lineEnd > 0) {
        const before = piece.lastIndexOf(lineFeed, lineEnd - 1)
        if (before < 0) break
        const line = piece.toString("utf8", before + 1, lineEnd)
        if (line !== "" && !take(line)) return
        lineEnd = before
      }
      rest = piece.subarray(0, lineEnd)
    }
    if (rest.length > 0) take(rest.toString("utf8"))
  })

  const forwards = Effect.fnUntraced(function* (offset: number) {
    const pieces: Array<Buffer> = []
    const end = file.size
    for (let position = offset; position < end;) {
      const piece = yield* read(position, Math.min(pieceLength, end - position))
      if (piece.length === 0) break
      pieces.push(piece)
      position += piece.length
    }
    return Buffer.concat(pieces)
      .toString("utf8")
      .split("\n")
      .filter((line) => line !== "")
  })

  return { size: () => file.size, append, backwards, forwards }
}

/** Goes on in a file of the old name when the one at hand was moved away; a rename by a log rotator, say. */
const reopenIfMoved = (path: string, file: OpenFile): void => {
  const found = fs.statSync(path, { throwIfNoEntry: false })
  if (found?.dev === file.device && found.ino === file.inode) return
  const old = file.fd
  Object.assign(file, openFile(path))
  fs.closeSync(old)
}

const mend = (path: string, file: OpenFile, isLine: (line: string) => boolean, now: number): TornTail | undefined => {
  const tail = readTail(file)
  if (tail.length === 0) return undefined
  if (isLine(tail.toString("utf8"))) {
    fs.writeSync(file.fd, "\n")
    fs.fdatasyncSync(file.fd)
    file.size += 1
    return { bytes: tail.length, savedAs: undefined }
  }
  const savedAs = `${path}.torn-${now}`
  fs.writeFileSync(savedAs, tail, { mode: 0o600, flush: true })
  file.size -= tail.length
  fs.ftruncateSync(file.fd, file.size)
  fs.fdatasyncSync(file.fd)
  return { bytes: tail.length, savedAs }
}

/** The bytes behind the last line feed. */
const readTail = (file: OpenFile): Buffer => {
  let tail: Buffer = Buffer.alloc(0)
  for (let position = file.size; position > 0;) {
    const length = Math.min(pieceLength, position)
    position -= length
    const piece = Buffer.alloc(length)
    fs.readSync(file.fd, piece, 0, length, position)
    const found = piece.lastIndexOf(lineFeed)
    tail = Buffer.concat([piece.subarray(found + 1), tail])
    if (found >= 0) break
  }
  return tail
}
