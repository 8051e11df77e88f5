/**
 * Text in UTF-16 or UTF-32, as PowerShell writes it: detected by how a file begins, and read
 * as UTF-8. A file of any other encoding than these and UTF-8 is searched byte by byte.
 */
/** Copies bytes into a buffer and returns their number, 0 at the end of the file. */
export type ReadBytes = (into: Buffer) => number | Promise<number>

/** How one of the encodings is read. Bytes that are no character become U+FFFD. */
interface WideEncoding {
  readonly unit: 2 | 4
  /** Decodes whole units. */
  readonly decode: (bytes: Buffer) => string
}

/** Swaps the bytes in a copy. */
const swapped = (bytes: Buffer, unit: 2 | 4): Buffer =>
  unit === 2 ? Buffer.from(bytes).swap16() : Buffer.from(bytes).swap32()
const utf16 = (bytes: Buffer): string => bytes.toString("utf16le")
const utf32 = (bytes: Buffer): string => {
  let text = ""
  for (let at = 0; at < bytes.length; at += 4) {
    const code = bytes.readUInt32LE(at)
    text += code > 0x10ffff ? "\ufffd" : String.fromCodePoint(code)
  }
  return text
}

const encodings: ReadonlyArray<WideEncoding> = [
  { unit: 4, decode: utf32 },
  { unit: 4, decode: (bytes) => utf32(swapped(bytes, 4)) },
  { unit: 2, decode: utf16 },
  { unit: 2, decode: (bytes) => utf16(swapped(bytes, 2)) }
]

/** As many bytes as git looks at for a NUL. */
const sampleLength = 8000

/** Returns the encoding of a file that begins with these bytes; undefined if it is no such text. */
export const wideEncodingOf = (bytes: Buffer): WideEncoding | undefined => {
  const sample = bytes.subarray(0, sampleLength)
  const hasMark = /^(?:\xff\xfe|\xfe\xff)/.test(sample.toString("latin1", 0, 2))
  if (!hasMark && !sample.includes(0)) return undefined
  let [best, most]: [WideEncoding | undefined, number] = [undefined, 0]
  for (const encoding of encodings) {
    const text = encoding.decode(wholeUnits(sample, encoding.unit))
    if (text.startsWith(byteOrderMark)) return encoding
    const ascii = isText(text) ? text.replaceAll(/[^\t-~]/g, "").length / text.length : 0
    if (ascii > most) [best, most] = [encoding, ascii]
  }
  return most < leastAscii ? undefined : best
}

const byteOrderMark = "\ufeff"
/** The share of ASCII in a text without a mark; a list whose items end with a NUL has less. */
const leastAscii = 1 / 8

/** Begins a colour in the output of a program. */
const escape = "\u001b"

/** Returns whether a text has assigned characters alone, unlike the bytes of a program. A pair may be cut at its end. */
const isText = (text: string): boolean =>
  !/[^\P{C}\p{Cf}\p{Co}\t\n\f\r]/u.test(text.replaceAll(escape, "").replace(/[\ud800-\udbff]$/, ""))

const wholeUnits = (bytes: Buffer, unit: number): Buffer => bytes.subarray(0, bytes.length - (bytes.length % unit))

const chunkLength = 64 * 1024

/** Reads a file as UTF-8, whose beginning was read already. */
export const readAsUtf8 = ({ decode, unit }: WideEncoding, beginning: Buffer, read: ReadBytes): ReadBytes => {
  let [raw, text, isStart, isEnd] = [beginning, Buffer.alloc(0), true, false]
  let pair = ""
  const decodeNext = () => {
    const units = wholeUnits(raw, unit)
    raw = raw.subarray(units.length)
    const decoded = pair + decode(units)
    // The other half of a pair may come next.
    pair = isEnd ? "" : (/[\ud800-\udbff]$/.exec(decoded)?.[0] ?? "")
    const whole = decoded.slice(0, decoded.length - pair.length)
    text = Buffer.from(isStart && whole.startsWith(byteOrderMark) ? whole.slice(1) : whole)
    isStart = false
  }
  return async (into) => {
    while (text.length === 0) {
      decodeNext()
      if (text.length > 0 || isEnd) break
      const chunk = Buffer.alloc(chunkLength)
      const count = await read(chunk)
      isEnd = count === 0
      raw = Buffer.concat([raw, chunk.subarray(0, count)])
    }
    const count = text.copy(into)
    text = text.subarray(count)
    return count
  }
}
