/**
 * An append-only file of lines: what is appended is on the disk when `append`
 * returns, or it is not in the file at all.
 *
 * It knows bytes and lines, not what they mean. It has one writer, which appends
 * one text at a time. Reading goes in pieces over what was there when the reading
 * began, and never holds up an append.
 *
 * A file that was renamed or removed under the writer is noticed before the next
 * append, which then goes to a new file of the old name.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { attempt, FileFault } from "./durableFile.ts"
import type { TornTail } from "./tornTail.ts"
import { mendTail } from "./tornTail.ts"

export interface LogFile {
  /** Length in bytes of what is durably there. */
  readonly size: () => number
  /** Counts the files there were under this name, and how often one was cut short by somebody else. */
  readonly generation: () => number
  /** Appends whole lines with one write and one fdatasync. On failure the file is cut back to its old length. */
  readonly append: (text: string) => Effect.Effect<void, FileFault>
  /** Lines from the one that ends at `end` (default: the last) backwards, for as long as `take` says true. */
  readonly backwards: (take: (line: string) => boolean, end?: number) => Effect.Effect<void, FileFault>
  /** The lines from a byte offset to the end, in order. */
  readonly forwards: (offset: number) => Effect.Effect<ReadonlyArray<string>, FileFault>
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
    const holder = yield* Effect.acquireRelease(
      attemptSync("open", path, () => ({ file: openFile(path) })),
      ({ file }) => Effect.sync(() => retire(file))
    )
    const torn = yield* attemptSync("mend", path, () => mendTail(path, holder.file, isLine, now))
    return { log: make(path, holder), torn }
  })

interface OpenFile {
  readonly fd: number
  readonly device: number
  readonly inode: number
  /** Bytes that are durably there. */
  size: number
  /** Reads under way: the descriptor is not closed under them, for its number may be given to another file. */
  readers: number
  retired: boolean
}

const pieceLength = 64 * 1024
const lineFeed = 0x0a

const attemptSync = <A>(operation: string, path: string, run: () => A): Effect.Effect<A, FileFault> =>
  Effect.try({ try: run, catch: (cause) => new FileFault({ operation, path, cause }) })

const openFile = (path: string): OpenFile => {
  const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_APPEND, 0o600)
  const stat = fs.fstatSync(fd)
  if (!stat.isFile()) {
    fs.closeSync(fd)
    throw new Error("not a regular file")
  }
  if ((stat.mode & 0o777) !== 0o600) fs.fchmodSync(fd, 0o600)
  return { fd, device: stat.dev, inode: stat.ino, size: stat.size, readers: 0, retired: false }
}

const retire = (file: OpenFile): void => {
  file.retired = true
  if (file.readers === 0) fs.closeSync(file.fd)
}

const release = (file: OpenFile): void => {
  file.readers -= 1
  if (file.retired && file.readers === 0) fs.closeSync(file.fd)
}

/** What a log rotator did to the file: nothing, cut it short in place, or moved it away. */
const lookAtPath = (path: string, file: OpenFile): "same" | "shorter" | "moved" => {
  const found = fs.statSync(path, { throwIfNoEntry: false })
  if (found?.dev !== file.device || found.ino !== file.inode) return "moved"
  return found.size < file.size ? "shorter" : "same"
}

const flushDirectory = (directory: string): void => {
  const fd = fs.openSync(directory, fs.constants.O_RDONLY)
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

const make = (path: string, holder: { file: OpenFile }): LogFile => {
  /** Set while bytes of a failed append may still be behind the end. */
  let dirty = false

  const cutBack = () => {
    fs.ftruncateSync(holder.file.fd, holder.file.size)
    dirty = false
  }

  let generation = 0

  /** Goes on where the file of this name is now; what somebody took away is not ours to bring back. */
  const follow = () => {
    const state = lookAtPath(path, holder.file)
    if (state === "shorter") holder.file.size = fs.fstatSync(holder.file.fd).size
    if (dirty) cutBack()
    if (state === "moved") {
      const old = holder.file
      holder.file = openFile(path)
      retire(old)
      flushDirectory(dirname(path))
    }
    if (state !== "same") generation += 1
  }

  const write = (bytes: Uint8Array) => {
    follow()
    dirty = true
    for (let written = 0; written < bytes.length;) {
      written += fs.writeSync(holder.file.fd, bytes, written, bytes.length - written)
    }
  }

  const flush = Effect.callback<void, FileFault>((resume) => {
    fs.fdatasync(holder.file.fd, (cause) => {
      resume(cause === null ? Effect.void : Effect.fail(new FileFault({ operation: "flush", path, cause })))
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

  /** Reads the file of this moment, whatever becomes of it meanwhile. */
  const reading = <A>(use: (file: OpenFile) => Effect.Effect<A, FileFault>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        holder.file.readers += 1
        return holder.file
      }),
      use,
      (file) => Effect.sync(() => release(file))
    )

  return {
    size: () => holder.file.size,
    generation: () => generation,
    append,
    backwards: (take, end) => reading((file) => readBackwards(path, file, take, end ?? file.size)),
    forwards: (offset) => reading((file) => readForwards(path, file, offset))
  }
}

const readBackwards = Effect.fnUntraced(function* (
  path: string,
  file: OpenFile,
  take: (line: string) => boolean,
  end: number
) {
  let rest: Buffer = Buffer.alloc(0)
  let position = end
  while (position > 0) {
    const length = Math.min(pieceLength, position)
    position -= length
    const piece = Buffer.concat([yield* read(path, file, position, length), rest])
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

const readForwards = Effect.fnUntraced(function* (path: string, file: OpenFile, offset: number) {
  const pieces: Array<Buffer> = []
  const end = file.size
  for (let position = offset; position < end;) {
    const piece = yield* read(path, file, position, Math.min(pieceLength, end - position))
    if (piece.length === 0) break
    pieces.push(piece)
    position += piece.length
  }
  return Buffer.concat(pieces)
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "")
})

const read = (path: string, file: OpenFile, position: number, length: number) =>
  attempt("read", path, () => {
    const piece = Buffer.alloc(length)
    return new Promise<Buffer>((resolve, reject) =>
      fs.read(file.fd, piece, 0, length, position, (cause, count) =>
        cause === null ? resolve(piece.subarray(0, count)) : reject(cause)
      )
    )
  }).pipe(Effect.uninterruptible)
