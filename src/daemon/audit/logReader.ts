/**
 * A log read from its end, in pieces, on into the archives.
 *
 * What it costs depends on how far one reads, not on how long the log is, and the
 * daemon answers others between two pieces.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { attempt, FileError } from "../files/durableFile.ts"
import type { Archive, LogArchives } from "./logArchives.ts"

/** Is given a line without its line feed, its file and the byte it begins at; true asks for the line before it. */
export type LineVisitor = (line: string, file: string, start: number) => boolean

const pieceLength = 64 * 1024
const lineFeed = 0x0a

interface Readable {
  readonly fd: number
  readonly size: number
}

/** Reads the open file from its last line, then the archives, youngest first. One that is gone by then is passed over. */
export const readLinesBackwards = Effect.fnUntraced(function* (
  path: string,
  file: Readable,
  older: ReadonlyArray<Archive>,
  archives: Pick<LogArchives, "pathOf">,
  take: LineVisitor
) {
  if (!(yield* readFile(path, file, take))) return
  for (const archive of older) {
    const goOn = yield* Effect.acquireUseRelease(
      Effect.try({
        try: () => openArchive(archives.pathOf(archive)),
        catch: (cause) => new FileError({ operation: "read", path: archives.pathOf(archive), cause })
      }),
      (opened) => (opened === undefined ? Effect.succeed(true) : readFile(archives.pathOf(archive), opened, take)),
      (opened) => Effect.sync(() => opened !== undefined && fs.closeSync(opened.fd))
    )
    if (!goOn) return
  }
})

/** Longer than any entry: two names of 16 KiB, each byte of them escaped to six. */
const maxLineLength = 256 * 1024

/** The lines of a file from its beginning, read as far as they are asked for; what is too long for an entry is no line. */
export function* readLines(path: string): Generator<string> {
  const file = openArchive(path)
  if (file === undefined) return
  try {
    let rest: Buffer = Buffer.alloc(0)
    for (let position = 0; position < file.size; position += pieceLength) {
      const piece = Buffer.alloc(Math.min(pieceLength, file.size - position))
      fs.readSync(file.fd, piece, 0, piece.length, position)
      const end = piece.lastIndexOf(lineFeed)
      if (end < 0) {
        if (rest.length <= maxLineLength) rest = Buffer.concat([rest, piece])
        continue
      }
      yield* Buffer.concat([rest, piece.subarray(0, end)])
        .toString("utf8")
        .split("\n")
      rest = piece.subarray(end + 1)
    }
  } finally {
    fs.closeSync(file.fd)
  }
}

/** An archive, if it is there and a file; to open a pipe would be to wait for whoever writes into it. */
const openArchive = (path: string): Readable | undefined => {
  if (fs.statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  return { fd, size: fs.fstatSync(fd).size }
}

/** Tells whether the reading goes on before the beginning of the file. */
const readFile = Effect.fnUntraced(function* (path: string, { fd, size }: Readable, take: LineVisitor) {
  /** The end of a line whose beginning was not read yet, its last piece first. */
  let rest: Array<Buffer> = []
  let restLength = 0
  let isEnd = true
  /** Gives a line whose beginning is found; what is too long for an entry goes without its text. */
  const give = (piece: Buffer, start: number): boolean => {
    const isWhole = restLength + piece.length <= maxLineLength
    const line = isWhole ? Buffer.concat([piece, ...rest.toReversed()]).toString("utf8") : ""
    rest = []
    restLength = 0
    // Behind the last line feed there is nothing, and that is no line.
    const isNothing = isEnd && line === "" && isWhole
    isEnd = false
    return isNothing || take(line, path, start)
  }
  let position = size
  while (position > 0) {
    const length = Math.min(pieceLength, position)
    position -= length
    const piece = yield* read(path, fd, position, length)
    let lineEnd = piece.length
    for (let at = piece.lastIndexOf(lineFeed); at >= 0; at = at === 0 ? -1 : piece.lastIndexOf(lineFeed, at - 1)) {
      if (!give(piece.subarray(at + 1, lineEnd), position + at + 1)) return false
      lineEnd = at
    }
    if (lineEnd > 0 && restLength <= maxLineLength) rest.push(piece.subarray(0, lineEnd))
    restLength += lineEnd
  }
  return size === 0 || give(Buffer.alloc(0), 0)
})

const read = (path: string, fd: number, position: number, length: number) =>
  attempt("read", path, () => {
    const piece = Buffer.alloc(length)
    return new Promise<Buffer>((resolve, reject) =>
      fs.read(fd, piece, 0, length, position, (cause, count) =>
        cause === null ? resolve(piece.subarray(0, count)) : reject(cause)
      )
    )
  }).pipe(Effect.uninterruptible)
