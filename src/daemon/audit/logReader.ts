/**
 * Reads a log in chunks: backwards from its end on into the archives, or forwards.
 *
 * The cost depends on how far the caller reads, not on the length of the log. Other
 * requests run between two chunks of a backwards read.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { attempt, attemptSync } from "../files/durableFile.ts"
import type { Archive, LogArchives } from "./logArchives.ts"

/** Receives a line without its line feed, its file and its start offset; returns whether to read the line before it. */
export type LineVisitor = (line: string, file: string, start: number) => boolean

export const chunkLength = 64 * 1024
export const lineFeed = 0x0a

interface Readable {
  readonly fd: number
  readonly size: number
}

/** Reads the open file backwards, then the archives, newest first. Skips an archive that is gone when it is opened. */
export const readLinesBackwards = Effect.fnUntraced(function* (
  path: string,
  file: Readable,
  older: ReadonlyArray<Archive>,
  archives: Pick<LogArchives, "pathOf">,
  visit: LineVisitor
) {
  if (!(yield* readFile(path, file, visit))) return
  for (const archive of older) {
    if (!(yield* Effect.suspend(() => readFileBackwards(archives.pathOf(archive), visit)))) return
  }
})

/** Reads one file backwards; returns whether the visitor wants the lines before it. Skips a file that is not there. */
export const readFileBackwards = (path: string, visit: LineVisitor) =>
  Effect.acquireUseRelease(
    attemptSync("read", path, () => openArchive(path)),
    (opened) => (opened === undefined ? Effect.succeed(true) : readFile(path, opened, visit)),
    (opened) => Effect.sync(() => opened !== undefined && fs.closeSync(opened.fd))
  )

/** Longer than any entry: two names of 16 KiB, each byte escaped to six. */
export const maxLineLength = 256 * 1024

/** Yields the lines of a file from its start, read only as far as they are consumed. Skips lines that are too long. */
export function* readLines(path: string): Generator<string> {
  const file = openArchive(path)
  if (file === undefined) return
  try {
    let rest: Buffer = Buffer.alloc(0)
    for (let position = 0; position < file.size; position += chunkLength) {
      const chunk = Buffer.alloc(Math.min(chunkLength, file.size - position))
      fs.readSync(file.fd, chunk, 0, chunk.length, position)
      const end = chunk.lastIndexOf(lineFeed)
      if (end < 0) {
        if (rest.length <= maxLineLength) rest = Buffer.concat([rest, chunk])
        continue
      }
      yield* Buffer.concat([rest, chunk.subarray(0, end)])
        .toString("utf8")
        .split("\n")
      rest = chunk.subarray(end + 1)
    }
  } finally {
    fs.closeSync(file.fd)
  }
}

/** Opens a regular file; undefined for anything else, because opening a pipe would block. */
const openArchive = (path: string): Readable | undefined => {
  if (fs.statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  return { fd, size: fs.fstatSync(fd).size }
}

/** Reads one file backwards; returns whether the visitor wants the lines before it. */
const readFile = Effect.fnUntraced(function* (path: string, { fd, size }: Readable, visit: LineVisitor) {
  /** The end of a line whose start is not read yet, last chunk first. */
  let rest: Array<Buffer> = []
  let restLength = 0
  let isAtEnd = true
  /** Passes a complete line to the visitor; a line too long for an entry is passed as an empty one. */
  const emit = (chunk: Buffer, start: number): boolean => {
    const fits = restLength + chunk.length <= maxLineLength
    const line = fits ? Buffer.concat([chunk, ...rest.toReversed()]).toString("utf8") : ""
    rest = []
    restLength = 0
    // The empty text after the last line feed is not a line.
    const isNoLine = isAtEnd && line === "" && fits
    isAtEnd = false
    return isNoLine || visit(line, path, start)
  }
  let position = size
  while (position > 0) {
    const length = Math.min(chunkLength, position)
    position -= length
    const chunk = yield* read(path, fd, position, length)
    let lineEnd = chunk.length
    for (let at = chunk.lastIndexOf(lineFeed); at >= 0; at = at === 0 ? -1 : chunk.lastIndexOf(lineFeed, at - 1)) {
      if (!emit(chunk.subarray(at + 1, lineEnd), position + at + 1)) return false
      lineEnd = at
    }
    if (lineEnd > 0 && restLength <= maxLineLength) rest.push(chunk.subarray(0, lineEnd))
    restLength += lineEnd
  }
  return size === 0 || emit(Buffer.alloc(0), 0)
})

const read = (path: string, fd: number, position: number, length: number) =>
  attempt("read", path, () => {
    const chunk = Buffer.alloc(length)
    return new Promise<Buffer>((resolve, reject) =>
      fs.read(fd, chunk, 0, length, position, (cause, count) =>
        cause === null ? resolve(chunk.subarray(0, count)) : reject(cause)
      )
    )
  }).pipe(Effect.uninterruptible)
