/**
 * The forms in which a value turns up where it should not be: as it is, and encoded
 * in the ways that files and programs encode it.
 *
 * Whoever gets these has the value. They are bytes and not `Redacted`, so they live
 * for one search and are kept nowhere.
 */
import { inBase64, inHex, inJson, inUrls } from "./encodings.ts"

/** The shortest value that is searched for, in bytes: shorter ones are in every file. */
const minSearchedLength = 8

/** The longest form, in bytes; of longer values only the line that stands for them, up to this, is searched for. */
export const maxVariantLength = 32 * 1024

/** The encodings of longer values are not searched for; nobody puts them where a scan could find them whole. */
const maxEncodedLength = 8 * 1024

/** Nothing if the value is too short. No form is given twice. */
export const searchVariants = (value: string): ReadonlyArray<Buffer> => {
  // Blanks and line feeds around a value are not what is secret about it.
  const trimmed = value.trim()
  const bytes = Buffer.from(trimmed)
  if (bytes.length < minSearchedLength) return []
  const texts = new Set([standIn(trimmed)])
  if (bytes.length <= maxEncodedLength) {
    const wellFormed = trimmed.toWellFormed()
    for (const form of [...inHex(bytes), ...inBase64(bytes), ...inUrls(wellFormed), ...inJson(trimmed)]) texts.add(form)
  }
  return [...texts].map((text) => Buffer.from(text)).filter((form) => form.length <= maxVariantLength)
}

/**
 * What is searched for as it is. A value of several lines is found by its longest: indented, or with other line ends,
 * the whole of it would not be.
 */
const standIn = (value: string): string => {
  const longest = value
    .split(/\r?\n/)
    .map((line) => line.trim())
    .reduce((a, b) => (b.length > a.length ? b : a))
  return cut(Buffer.byteLength(longest) < minSearchedLength ? value : longest)
}

/** Without half a character at its end. */
const cut = (text: string): string => {
  const bytes = Buffer.from(text)
  if (bytes.length <= maxVariantLength) return text
  return bytes
    .subarray(0, maxVariantLength)
    .toString("utf8")
    .replace(/\uFFFD+$/, "")
}
