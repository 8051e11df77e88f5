/**
 * Keeps the beginning and the end of an output within a limit of bytes: a quarter of it and
 * three. What is cut was masked before, so no part of a value is left at a cut.
 */

export class CutOutput {
  private readonly headLimit: number
  private readonly tailLimit: number
  private readonly head: Array<Buffer> = []
  private headLength = 0
  private tail: Array<Buffer> = []
  private tailLength = 0
  /** The bytes of the whole output. */
  length = 0

  constructor(limit: number) {
    this.headLimit = Math.floor(limit / 4)
    this.tailLimit = limit - this.headLimit
  }

  push(bytes: Buffer): void {
    this.length += bytes.length
    const first = bytes.subarray(0, this.headLimit - this.headLength)
    const rest = bytes.subarray(first.length)
    if (first.length > 0) this.head.push(first)
    this.headLength += first.length
    if (rest.length > 0) this.tail.push(rest)
    this.tailLength += rest.length
    // Twice the limit, so that joining them is rare.
    if (this.tailLength > 2 * this.tailLimit) this.join()
  }

  /** Returns how many bytes are left out. */
  get leftOut(): number {
    return Math.max(0, this.length - this.headLimit - this.tailLimit)
  }

  /** Returns the text; bytes that are not UTF-8 become U+FFFD. */
  text(): string {
    this.join()
    const head = Buffer.concat(this.head)
    const tail = Buffer.concat(this.tail)
    if (this.leftOut === 0) return Buffer.concat([head, tail]).toString("utf8")
    const left = ` … ${this.leftOut} bytes left out … `
    return withoutCutEnd(head).toString("utf8") + left + withoutCutBeginning(tail).toString("utf8")
  }

  private join(): void {
    const all = Buffer.concat(this.tail)
    this.tail = [Buffer.from(all.subarray(-this.tailLimit))]
    this.tailLength = this.tail[0]?.length ?? 0
  }
}

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** Leaves out the character that the cut split. */
const withoutCutBeginning = (bytes: Buffer): Buffer => {
  let at = 0
  while (at < 3 && isContinuation(bytes[at])) at += 1
  return bytes.subarray(at)
}

const withoutCutEnd = (bytes: Buffer): Buffer => {
  let at = bytes.length
  while (at > 0 && bytes.length - at < 3 && isContinuation(bytes[at - 1])) at -= 1
  return (bytes[at - 1] ?? 0) >= 0xc0 ? bytes.subarray(0, at - 1) : bytes
}
