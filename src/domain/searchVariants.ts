/**
 * The variants of a value that `scan` searches for: as it is, and in common encodings.
 *
 * They are as secret as the value, but plain bytes: they must not outlive one search.
 */
import { inBase64, inHex, inJson, inUrls } from "./encodings.ts"

/** Shorter values, in bytes, are not searched for: they would be in every file. */
const minSearchedLength = 8

/** The maximum length of a variant, in bytes. Of a longer value only its longest line is searched for, up to this. */
export const maxVariantLength = 32 * 1024

/** Encodings of longer values are not searched for. */
const maxEncodedLength = 8 * 1024

/** Returns the distinct variants of a value; none if it is too short. */
export const searchVariants = (value: string): ReadonlyArray<Buffer> => {
  // Surrounding white space is not a part of the secret.
  const trimmed = value.trim()
  const bytes = Buffer.from(trimmed)
  if (bytes.length < minSearchedLength) return []
  const texts = new Set([longestLine(trimmed)])
  if (bytes.length <= maxEncodedLength) {
    const wellFormed = trimmed.toWellFormed()
    for (const variant of [...inHex(bytes), ...inBase64(bytes), ...inUrls(wellFormed), ...inJson(trimmed)])
      texts.add(variant)
  }
  return [...texts].map((text) => Buffer.from(text)).filter((variant) => variant.length <= maxVariantLength)
}

/** Returns the longest line of a value: the whole would not be found if it is indented or has other line ends. */
const longestLine = (value: string): string => {
  const longest = value
    .split(/\r?\n/)
    .map((line) => line.trim())
    .reduce((a, b) => (b.length > a.length ? b : a))
  return truncate(Buffer.byteLength(longest) < minSearchedLength ? value : longest)
}

/** Truncates to `maxVariantLength` at a character boundary. */
const truncate = (text: string): string => {
  const bytes = Buffer.from(text)
  if (bytes.length <= maxVariantLength) return text
  return bytes
    .subarray(0, maxVariantLength)
    .toString("utf8")
    .replace(/\uFFFD+$/, "")
}
