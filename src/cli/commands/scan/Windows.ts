/**
 * A sliding window over a file of any size, in a buffer of fixed size that files share.
 * Windows overlap, so that every match lies in one of them completely; the one in which it
 * begins between `from` and `to` reports it. Lines and columns count from 1, in bytes.
 */
import { maxMatchLength } from "../../../domain/secretPatterns.ts"
import { maxVariantLength } from "../../../domain/variants.ts"

/** The size of the buffer that windows need. */
export const windowSize = 1024 * 1024
/** No match is longer. */
const overlap = Math.max(maxMatchLength, maxVariantLength)
/** Patterns look this far behind a match. */
const context = 256

/** Valid until the next one. */
export interface Window {
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
  readonly isFirst: boolean
  /** Returns the position in the file of a byte of the window. */
  readonly positionOf: (at: number) => { readonly line: number; readonly column: number }
}

export class Windows {
  private readonly buffer: Buffer
  private length = 0
  private from = 0
  private isFirst = true
  /** The position of the first byte in the buffer. */
  private line = 1
  private column = 1
  /** Line feeds are counted up to here: positions are requested in ascending order. */
  private counted = { at: 0, line: 1, lineStart: -1 }

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  /** The free part of the buffer, never empty. */
  get room(): Buffer {
    return this.buffer.subarray(this.length)
  }

  /** Adds this many bytes that were written to the room. */
  advance(count: number): void {
    this.length += count
  }

  get isFull(): boolean {
    return this.length === this.buffer.length
  }

  /** Returns the current window. Call it when the buffer is full, and at the end of the file. */
  window(isLast: boolean): Window {
    const bytes = this.buffer.subarray(0, this.length)
    return {
      bytes,
      from: this.from,
      to: isLast ? this.length : this.length - overlap,
      isFirst: this.isFirst,
      positionOf: (at) => this.positionOf(at)
    }
  }

  /** Makes room, and keeps what overlaps with the next window. */
  slide(): void {
    const kept = this.length - overlap - context
    const { column, line } = this.positionOf(kept)
    this.line = line
    this.column = column
    this.buffer.copyWithin(0, kept, this.length)
    this.length -= kept
    this.from = context
    this.isFirst = false
    this.counted = { at: 0, line, lineStart: -1 }
  }

  private positionOf(at: number): { readonly line: number; readonly column: number } {
    const before = at >= this.counted.at ? this.counted : { at: 0, line: this.line, lineStart: -1 }
    let { lineStart, line } = before
    let next = this.buffer.indexOf(lineFeed, before.at)
    while (next !== -1 && next < at) {
      line += 1
      lineStart = next + 1
      next = this.buffer.indexOf(lineFeed, lineStart)
    }
    this.counted = { at, line, lineStart }
    return { line, column: lineStart === -1 ? this.column + at : at - lineStart + 1 }
  }
}

const lineFeed = 0x0a
