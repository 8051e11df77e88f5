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
  /** Where the bytes were put, or undefined if they were a whole line that only lacked its line feed. */
  readonly savedAs: string | undefined
}

const pieceLength = 64 * 1024
const lineFeed = 0x0a

/** Mends the open file and its `size`; `now` goes into the name of what is kept. Throws what node:fs throws. */
export const mendTail = (
  path: string,
  file: { readonly fd: number; size: number },
  isLine: (line: string) => boolean,
  now: number
): TornTail | undefined => {
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

const readTail = (file: { readonly fd: number; readonly size: number }): Buffer => {
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
