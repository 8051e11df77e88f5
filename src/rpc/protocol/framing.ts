/**
 * Lines out of bytes, however the bytes arrive.
 *
 * A line feed ends a line and one carriage return before it is dropped. A line that
 * grows beyond the limit is reported once, its bytes are thrown away up to its
 * line feed, and the lines after it are whole again. Bytes are split, not
 * characters: a character that arrives in two pieces stays one. A line that is not
 * UTF-8 is no text: with U+FFFD in it, two different names could become one.
 */
import { isUtf8 } from "node:buffer"

/** A line, or the mark of one that was too long or no text. */
export type Frame = { readonly line: string } | { readonly tooLong: true } | { readonly notUtf8: true }

const lineFeed = 0x0a
const carriageReturn = 0x0d

/** Room for the first bytes of a line that comes in pieces: enough for most requests, little for ten thousand connections. */
const firstRoom = 256

const nothing = Buffer.alloc(0)

export class LineSplitter {
  private bytes: Uint8Array = nothing
  private at = 0
  /** The unfinished line. It is copied: a buffer for each piece would cost a hundred times a piece of one byte. */
  private kept: Buffer = nothing
  private length = 0
  private skipping = false
  private readonly limit: number

  /** `limit` in bytes, line feed not counted. */
  constructor(limit: number) {
    this.limit = limit
  }

  /** Takes more bytes, when `next` has nothing more to give. */
  push(bytes: Uint8Array): void {
    this.bytes = bytes
    this.at = 0
  }

  /** The next line that is complete; undefined if that takes more bytes. */
  next(): Frame | undefined {
    while (this.bytes.length > 0) {
      const end = this.bytes.indexOf(lineFeed, this.at)
      const piece = this.bytes.subarray(this.at, end < 0 ? this.bytes.length : end)
      this.at = end + 1
      if (end < 0) this.bytes = nothing
      if (this.skipping) this.skip(piece, end >= 0)
      else if (this.length + piece.length > this.limit) {
        this.skip(piece, end >= 0)
        return { tooLong: true }
      } else if (end >= 0) return this.finish(piece)
      else this.keep(piece)
    }
    return undefined
  }

  /** What stood behind the last line feed when the bytes ended; it counts as a line. */
  end(): Frame | undefined {
    return this.length === 0 || this.skipping ? undefined : this.finish(nothing)
  }

  /** The bytes so far of a line that has begun and not ended, or 0. */
  get unfinished(): number {
    return this.length
  }

  /** The bytes of memory it holds. */
  get held(): number {
    return this.bytes.length + this.kept.length
  }

  private skip(piece: Uint8Array, ends: boolean): void {
    this.kept = nothing
    this.length = ends ? 0 : this.length + piece.length
    this.skipping = !ends
  }

  private keep(piece: Uint8Array): void {
    const length = this.length + piece.length
    if (length > this.kept.length) {
      const room = Buffer.allocUnsafeSlow(Math.min(Math.max(length, 2 * this.kept.length, firstRoom), this.limit))
      this.kept.copy(room, 0, 0, this.length)
      this.kept = room
    }
    this.kept.set(piece, this.length)
    this.length = length
  }

  private finish(piece: Uint8Array): Frame {
    if (this.length === 0) return frameOf(piece)
    this.keep(piece)
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
