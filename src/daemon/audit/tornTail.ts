/**
 * Repairs the end of a line-based file whose last write was interrupted.
 *
 * A complete last line gets its missing line feed. A partial line is cut off, so that
 * the next append starts a new line, and is saved in a file beside the log.
 */
import * as fs from "node:fs"

/** The bytes after the last line feed, and how they were repaired. */
export interface TornTail {
  readonly bytes: number
  /** The file with the bytes; undefined if the line was complete or the copy failed. */
  readonly savedAs: string | undefined
  readonly repair: "cut off" | "completed"
}

const chunkLength = 64 * 1024
const lineFeed = 0x0a
/** Longer than any line of ours, so a longer tail is never a complete line. */
const maxLineLength = 256 * 1024

/** Repairs the open file and updates its `size`; `now` becomes part of the saved file's name. Throws what node:fs throws. */
export const repairTail = (
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
