/**
 * The forms in which a value turns up in the output of a program: as it is, line by
 * line, and in the encodings that programs put it into on their way to a log.
 *
 * This finds what is printed by accident. Who wants to get a value past it can, by
 * an encoding that is not here, or a letter at a time.
 */

import { inBase64, inHex, inJson, inUrls, inWholeBase64 } from "./encodings.ts"
import { minMaskedLength } from "./Masker.ts"

/** Shorter lines of a value are words that other texts have as well. */
const minLineLength = 8

/**
 * The forms of all values, the likeliest of each before the next of any: where there are too many to be looked for, it is
 * rare encodings that are left out, and no value as it is.
 */
export const encodedVariantsOfAll = (values: ReadonlyArray<string>): ReadonlyArray<Buffer> => {
  const all = values.map(encodedVariants)
  const most = all.reduce((longest, { length }) => Math.max(longest, length), 0)
  return Array.from({ length: most }, (_, rank) => all.flatMap((forms) => forms.slice(rank, rank + 1))).flat()
}

/** All forms of a value, as bytes, the likeliest first; none where it is too short. */
export const encodedVariants = (value: string): ReadonlyArray<Buffer> => {
  const text = value.toWellFormed()
  const bytes = Buffer.from(text, "utf8")
  if (bytes.length < minMaskedLength) return []
  const lines = text.split(/\r\n|\r|\n/)
  const parts = lines.length === 1 ? [] : lines.filter((line) => Buffer.byteLength(line) >= minLineLength)
  const forms = new Set([
    text,
    ...parts,
    ...inJson(text),
    ...inUrls(text),
    inShell(text),
    ...inWholeBase64(bytes),
    ...inBase64(bytes),
    ...inHex(bytes)
  ])
  return [...forms].map((form) => Buffer.from(form, "utf8")).filter((form) => form.length >= minMaskedLength)
}

/** As a shell prints it with -x. */
const inShell = (text: string): string => text.replaceAll("'", "'\\''")
