/**
 * Lines out of bytes, however the bytes arrive.
 *
 * A line feed ends a line and one carriage return before it is dropped. A line that
 * grows beyond the limit is reported once, its bytes are thrown away up to its
 * line feed, and the lines after it are whole again. Bytes are split, not
 * characters: a character that arrives in two pieces stays one.
 */

/** A line, or the mark of one that was too long. */
export type Frame = { readonly line: string } | { readonly tooLong: true }

const lineFeed = 0x0a

export class LineSplitter {
  private pieces: Array<Uint8Array> = []
  private length = 0
  private skipping = false
  private readonly limit: number

  /** `limit` in bytes, line feed not counted. */
  constructor(limit: number) {
    this.limit = limit
  }

  /** The lines that are complete with these bytes. */
  push(bytes: Uint8Array): ReadonlyArray<Frame> {
    const frames: Array<Frame> = []
    let from = 0
    for (let at = bytes.indexOf(lineFeed); at >= 0; at = bytes.indexOf(lineFeed, from)) {
      this.keep(bytes.subarray(from, at), frames)
      if (!this.skipping) frames.push({ line: this.take() })
      this.skipping = false
      from = at + 1
    }
    this.keep(bytes.subarray(from), frames)
    return frames
  }

  /** What stood behind the last line feed when the bytes ended; it counts as a line. */
  end(): ReadonlyArray<Frame> {
    return this.length === 0 ? [] : [{ line: this.take() }]
  }

  private keep(piece: Uint8Array, frames: Array<Frame>): void {
    if (this.skipping || piece.length === 0) return
    if (this.length + piece.length > this.limit) {
      this.pieces = []
      this.length = 0
      this.skipping = true
      frames.push({ tooLong: true })
      return
    }
    this.pieces.push(piece)
    this.length += piece.length
  }

  private take(): string {
    const bytes = this.pieces.length === 1 ? this.pieces[0] : Buffer.concat(this.pieces)
    this.pieces = []
    this.length = 0
    const line = Buffer.from(bytes ?? []).toString("utf8")
    return line.endsWith("\r") ? line.slice(0, -1) : line
  }
}
