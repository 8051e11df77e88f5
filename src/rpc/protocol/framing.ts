/**
 * Splits bytes into lines, in any chunks.
 *
 * A line feed ends a line; one carriage return before it is dropped. A line beyond the
 * limit is reported once and its bytes are discarded up to its line feed. A line that is
 * not UTF-8 is reported as such: with U+FFFD in it, two names could become one.
 */
import { isUtf8 } from "node:buffer"

/** A line, or why there is none. */
export type Frame = { readonly line: string } | { readonly tooLong: true } | { readonly notUtf8: true }

const lineFeed = 0x0a
const carriageReturn = 0x0d

/** The first buffer of a line that arrives in chunks: enough for most requests, little for thousands of connections. */
const firstRoom = 256

const nothing = Buffer.alloc(0)

export class LineSplitter {
  private bytes: Uint8Array = nothing
  private at = 0
  /** The unfinished line. It is copied: a buffer for each chunk of one byte would cost a multiple of it. */
  private kept: Buffer = nothing
  private length = 0
  private skipping = false
  private readonly limit: number

  /** `limit` is in bytes without the line feed. */
  constructor(limit: number) {
    this.limit = limit
  }

  /** Adds bytes, when `next` returns no more lines. */
  push(bytes: Uint8Array): void {
    this.bytes = bytes
    this.at = 0
  }

  /** Returns the next complete line; undefined if more bytes are needed. */
  next(): Frame | undefined {
    while (this.bytes.length > 0) {
      const end = this.bytes.indexOf(lineFeed, this.at)
      const chunk = this.bytes.subarray(this.at, end < 0 ? this.bytes.length : end)
      this.at = end + 1
      if (end < 0) this.bytes = nothing
      if (this.skipping) this.skip(chunk, end >= 0)
      else if (this.length + chunk.length > this.limit) {
        this.skip(chunk, end >= 0)
        return { tooLong: true }
      } else if (end >= 0) return this.finish(chunk)
      else this.keep(chunk)
    }
    return undefined
  }

  /** Returns what follows the last line feed at the end of the bytes; it counts as a line. */
  end(): Frame | undefined {
    return this.length === 0 || this.skipping ? undefined : this.finish(nothing)
  }

  /** The bytes of the unfinished line so far. */
  get unfinished(): number {
    return this.length
  }

  /** The bytes of memory in use. */
  get held(): number {
    return this.bytes.length + this.kept.length
  }

  private skip(chunk: Uint8Array, ends: boolean): void {
    this.kept = nothing
    this.length = ends ? 0 : this.length + chunk.length
    this.skipping = !ends
  }

  private keep(chunk: Uint8Array): void {
    const length = this.length + chunk.length
    if (length > this.kept.length) {
      const room = Buffer.allocUnsafeSlow(Math.min(Math.max(length, 2 * this.kept.length, firstRoom), this.limit))
      this.kept.copy(room, 0, 0, this.length)
      this.kept = room
    }
    this.kept.set(chunk, this.length)
    this.length = length
  }

  private finish(chunk: Uint8Array): Frame {
    if (this.length === 0) return frameOf(chunk)
    this.keep(chunk)
    const frame = frameOf(this.kept.subarray(0, this.length))
    this.kept = nothing
    this.length = 0
    return frame
  }
}

const frameOf = (bytes: Uint8Array): Frame => {
  if (!isUtf8(bytes)) return { notUtf8: true }
  const length = bytes.at(-1) === carriageReturn ? bytes.length - 1 : bytes.length
  return { line: Buffer.from(bytes.buffer, bytes.byteOffset, length).toString("utf8") }
}
