/**
 * The end of a file of lines that lost its last line feed: a write that broke off.
 *
 * A whole line gets its line feed back. A piece of one is cut off, so that the next
 * line does not melt into it, and kept in a file beside.
 */
import * as fs from "node:fs"

/** What stood behind the last line feed. */
export interface TornTail {
  readonly bytes: number
  /** Where the bytes were put; undefined if they were a whole line that only lacked its line feed, or could not be kept. */
  readonly savedAs: string | undefined
  readonly repair: "cut off" | "completed"
}

const pieceLength = 64 * 1024
const lineFeed = 0x0a
/** Longer than any line of ours; what is longer is no line that lacks its line feed. */
const maxLineLength = 256 * 1024

/** Mends the open file and its `size`; `now` goes into the name of what is kept. Throws what node:fs throws. */
export const repairTail = (
  path: string,
  file: { readonly fd: number; size: number },
  isLine: (line: string) => boolean,
  now: number
): TornTail | undefined => {
  const start = lastLineFeed(file) + 1
  const bytes = file.size - start
  if (bytes === 0) return undefined
  if (bytes <= maxLineLength && isLine(readPiece(file.fd, start, bytes).toString("utf8"))) {
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

/** Where it is; -1 if there is none. */
const lastLineFeed = (file: { readonly fd: number; readonly size: number }): number => {
  for (let position = file.size; position > 0;) {
    const length = Math.min(pieceLength, position)
    position -= length
    const found = readPiece(file.fd, position, length).lastIndexOf(lineFeed)
    if (found >= 0) return position + found
  }
  return -1
}

/** Keeps a copy; a full disk, where there is no room for one, is no reason not to start. */
const save = (fd: number, start: number, end: number, target: string): string | undefined => {
  const copy = openNew(target)
  if (copy === undefined) return undefined
  try {
    for (let at = start; at < end; at += pieceLength) {
      fs.writeFileSync(copy, readPiece(fd, at, Math.min(pieceLength, end - at)))
    }
    fs.fsyncSync(copy)
    return target
  } catch {
    fs.rmSync(target, { force: true })
    return undefined
  } finally {
    fs.closeSync(copy)
  }
}

const openNew = (path: string): number | undefined => {
  try {
    return fs.openSync(path, "wx", 0o600)
  } catch {
    return undefined
  }
}

const readPiece = (fd: number, position: number, length: number): Buffer => {
  const piece = Buffer.alloc(length)
  return piece.subarray(0, fs.readSync(fd, piece, 0, length, position))
}
