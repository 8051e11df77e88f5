/**
 * A file of any size, looked at through a window of fixed size.
 *
 * Windows overlap, so that whatever is not longer than the overlap lies whole in one
 * of them, and exactly one has it to report: the one in which it begins between
 * `from` and `to`. A window is valid until the next is asked for. Lines and columns
 * count from 1, in bytes.
 */
import { maxMatchLength } from "../../../domain/secretPatterns.ts"
import { maxVariantLength } from "../../../domain/searchVariants.ts"

const size = 1024 * 1024
/** Nothing that is searched for is longer. */
const overlap = Math.max(maxMatchLength, maxVariantLength)
/** What must not stand before a match can be seen this far back. */
const context = 256

export interface Window {
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
  readonly isFirst: boolean
  /** Where in the file a byte of the window is. */
  readonly positionOf: (at: number) => { readonly line: number; readonly column: number }
}

export class Windows {
  private readonly held = Buffer.allocUnsafe(size)
  private length = 0
  private from = 0
  private isFirst = true
  /** Of the first byte held. */
  private line = 1
  private column = 1
  /** The line feeds up to here have been counted: places are asked for in their order. */
  private counted = { at: 0, line: 1, begins: -1 }

  /** Begins another file. */
  reset(): void {
    this.length = 0
    this.from = 0
    this.isFirst = true
    this.line = 1
    this.column = 1
    this.counted = { at: 0, line: 1, begins: -1 }
  }

  /** Where the next bytes of the file are to be put; there is always room. */
  get room(): Buffer {
    return this.held.subarray(this.length)
  }

  /** So many bytes were put into the room. */
  filled(count: number): void {
    this.length += count
  }

  get isFull(): boolean {
    return this.length === size
  }

  /** What there is; to be asked for when it is full and at the end of the file. */
  window(isLast: boolean): Window {
    const bytes = this.held.subarray(0, this.length)
    return {
      bytes,
      from: this.from,
      to: isLast ? this.length : this.length - overlap,
      isFirst: this.isFirst,
      positionOf: (at) => this.positionOf(at)
    }
  }

  /** Makes room: keeps what the next window has in common with this one. */
  slide(): void {
    const kept = this.length - overlap - context
    const { column, line } = this.positionOf(kept)
    this.line = line
    this.column = column
    this.held.copyWithin(0, kept, this.length)
    this.length -= kept
    this.from = context
    this.isFirst = false
    this.counted = { at: 0, line, begins: -1 }
  }

  private positionOf(at: number): { readonly line: number; readonly column: number } {
    const before = at >= this.counted.at ? this.counted : { at: 0, line: this.line, begins: -1 }
    let { begins, line } = before
    let next = this.held.indexOf(lineFeed, before.at)
    while (next !== -1 && next < at) {
      line += 1
      begins = next + 1
      next = this.held.indexOf(lineFeed, begins)
    }
    this.counted = { at, line, begins }
    return { line, column: begins === -1 ? this.column + at : at - begins + 1 }
  }
}

const lineFeed = 0x0a
