/**
 * The variants of a value in files and logs: as it is, line by line, and in common
 * encodings. `exec --mask` masks `encodedVariants` of a value and of the strings in it, if
 * it is JSON; `scan` searches for `searchVariants`.
 * They are as secret as the value. They catch what is printed by accident, and cannot stop a
 * program that means to print the value, in another encoding or letter by letter.
 */
import { minMaskedLength } from "./Masker.ts"

/** Shorter parts of a value, its lines and the strings in it, may be words of other texts. */
const minPartLength = 8
/** Of further strings in JSON values, only the plain text is masked. */
const maxEncodedTexts = 1_000

/**
 * Returns the variants of all values and of the strings in them, the likeliest of each first. If there are too many to
 * mask, rare encodings are dropped before any plain text.
 */
export const encodedVariantsOfAll = (values: ReadonlyArray<string>): ReadonlyArray<Buffer> => {
  const texts = [...new Set([...values, ...values.flatMap(jsonStrings)])]
  const all = texts.map((text, at) => (at < maxEncodedTexts ? encodedVariants(text) : [Buffer.from(text)]))
  const maxCount = all.reduce((longest, { length }) => Math.max(longest, length), 0)
  return Array.from({ length: maxCount }, (_, rank) => all.flatMap((variants) => variants.slice(rank, rank + 1))).flat()
}

/** Returns the variants of a value, the likeliest first; none if it is too short. */
export const encodedVariants = (value: string): ReadonlyArray<Buffer> => {
  const text = value.toWellFormed()
  const bytes = Buffer.from(text, "utf8")
  if (bytes.length < minMaskedLength) return []
  const lines = text.split(/\r\n|\r|\n/)
  const longLines = lines.length === 1 ? [] : lines.filter(isLongPart)
  const variants = new Set([
    text,
    ...longLines,
    ...inJson(text),
    ...inUrls(text),
    inShell(text),
    ...inWholeBase64(bytes),
    ...inBase64(bytes),
    ...inHex(bytes),
    inspected(bytes)
  ])
  return [...variants]
    .map((variant) => Buffer.from(variant, "utf8"))
    .filter((variant) => variant.length >= minMaskedLength)
}

/** Returns whether a part of a value is unlikely to be a word of another text. */
export const isLongPart = (part: string): boolean => Buffer.byteLength(part) >= minPartLength

/** Returns the long strings in JSON, at any depth and in strings that are JSON themselves. Names of members are none. */
export const jsonStrings = (value: string): ReadonlyArray<string> => {
  if (!/^\s*[[{"]/.test(value)) return []
  const found: Array<string> = []
  const collect = (_name: string, part: unknown): unknown => {
    if (typeof part === "string" && isLongPart(part)) found.push(part, ...jsonStrings(part))
    return undefined
  }
  try {
    JSON.parse(value, collect)
    return found
  } catch {
    return []
  }
}

/** Escapes a value as a shell prints it with `-x`. */
const inShell = (text: string): string => text.replaceAll("'", "'\\''")

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
  const encoded = () => [...inHex(bytes), ...inBase64(bytes), ...inUrls(trimmed.toWellFormed()), ...inJson(trimmed)]
  const texts = new Set([longestLine(trimmed), ...(bytes.length <= maxEncodedLength ? encoded() : [])])
  return [...texts].map((text) => Buffer.from(text)).filter((variant) => variant.length <= maxVariantLength)
}

/**
 * Returns the longest line of a value, up to `maxVariantLength`: the whole would not be found if it is indented or has
 * other line ends.
 */
const longestLine = (value: string): string => {
  const lines = value.split(/\r?\n/).map((line) => line.trim())
  const longest = lines.reduce((a, b) => (b.length > a.length ? b : a))
  const searched = Buffer.byteLength(longest) < minSearchedLength ? value : longest
  const { read } = new TextEncoder().encodeInto(searched, new Uint8Array(maxVariantLength))
  return searched.slice(0, read)
}

const inHex = (bytes: Buffer): ReadonlyArray<string> => {
  const hex = bytes.toString("hex")
  return [hex, hex.toUpperCase()]
}

/** Returns the bytes as Node prints a Buffer. */
const inspected = (bytes: Buffer): string => bytes.toString("hex").replaceAll(/..(?!$)/g, "$& ")

/**
 * Returns the base64 letters that depend on the value alone, for each of its three possible alignments in encoded
 * data. The first is also returned with the line breaks of `base64` and `openssl`.
 */
const inBase64 = (bytes: Buffer): ReadonlyArray<string> => {
  const [first = "", ...inside] = [0, 1, 2].map((before) => {
    const letters = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64")
    return letters.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6))
  })
  return [first, ...inside, inLines(first, 76), inLines(first, 64)].flatMap(withSafe)
}

/** Returns base64 with and without padding. */
const inWholeBase64 = (bytes: Buffer): ReadonlyArray<string> => {
  const whole = bytes.toString("base64")
  return [whole, whole.replaceAll("=", "")].flatMap(withSafe)
}

const inLines = (text: string, length: number): string =>
  text.replaceAll(new RegExp(`.{${length}}(?=.)`, "g"), (line) => `${line}\n`)

/** Adds the URL-safe alphabet (base64url). */
const withSafe = (base64: string): ReadonlyArray<string> => [base64, base64.replaceAll("+", "-").replaceAll("/", "_")]

/** Returns percent-encodings: those of parts and of whole addresses, of paths and of forms, in upper and lower case. */
const inUrls = (text: string): ReadonlyArray<string> => {
  const usual = encodeURIComponent(text)
  const strict = usual.replaceAll(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)
  const inForm = new URLSearchParams([["", text]]).toString().slice(1)
  const [inPath, inQuery] = [strict.replaceAll("%2F", "/"), strict.replaceAll("%20", "+")]
  return [usual, strict, inForm, inPath, inQuery, encodeURI(text)].flatMap((form) => [
    form,
    form.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())
  ])
}

/** Returns JSON strings as JavaScript, Go, Python and PHP write them. */
const inJson = (text: string): ReadonlyArray<string> => {
  const usual = JSON.stringify(text).slice(1, -1)
  const escaped = (pattern: RegExp) =>
    usual.replaceAll(pattern, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`)
  return [usual, escaped(/[<>&\u2028\u2029]/g), escaped(/[\u007f-\uffff]/g), usual.replaceAll("/", "\\/")]
}
