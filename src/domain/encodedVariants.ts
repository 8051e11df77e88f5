/**
 * The variants of a value that `exec --mask` masks in the output of a program: as it is,
 * line by line, and in common encodings.
 *
 * They catch what is printed by accident. They cannot stop a program that means to print
 * the value, in another encoding or letter by letter.
 */
import { inBase64, inHex, inJson, inUrls, inWholeBase64 } from "./encodings.ts"
import { minMaskedLength } from "./Masker.ts"

/** Shorter lines of a value may be words of other texts. */
const minLineLength = 8

/**
 * Returns the variants of all values, the likeliest of each value first. If there are too many to mask, rare encodings
 * are dropped before any plain value.
 */
export const encodedVariantsOfAll = (values: ReadonlyArray<string>): ReadonlyArray<Buffer> => {
  const all = values.map(encodedVariants)
  const maxCount = all.reduce((longest, { length }) => Math.max(longest, length), 0)
  return Array.from({ length: maxCount }, (_, rank) => all.flatMap((variants) => variants.slice(rank, rank + 1))).flat()
}

/** Returns the variants of a value, the likeliest first; none if it is too short. */
export const encodedVariants = (value: string): ReadonlyArray<Buffer> => {
  const text = value.toWellFormed()
  const bytes = Buffer.from(text, "utf8")
  if (bytes.length < minMaskedLength) return []
  const lines = text.split(/\r\n|\r|\n/)
  const longLines = lines.length === 1 ? [] : lines.filter((line) => Buffer.byteLength(line) >= minLineLength)
  const variants = new Set([
    text,
    ...longLines,
    ...inJson(text),
    ...inUrls(text),
    inShell(text),
    ...inWholeBase64(bytes),
    ...inBase64(bytes),
    ...inHex(bytes)
  ])
  return [...variants]
    .map((variant) => Buffer.from(variant, "utf8"))
    .filter((variant) => variant.length >= minMaskedLength)
}

/** As a shell prints it with `-x`. */
const inShell = (text: string): string => text.replaceAll("'", "'\\''")
