/**
 * The forms in which a value turns up in the output of a program: as it is, line by
 * line, and in the encodings that programs put it into on their way to a log.
 *
 * This finds what is printed by accident. Who wants to get a value past it can, by
 * an encoding that is not here, or a letter at a time.
 */

import { inBase64, inHex, inJson, inUrls, inWholeBase64 } from "./encodings.ts"
import { shortestMasked } from "./Masker.ts"

/** Shorter lines of a value are words that other texts have as well. */
const shortestLine = 8

/** All forms of a value, as bytes; none where it is too short. */
export const formsOf = (value: string): ReadonlyArray<Buffer> => {
  const text = value.toWellFormed()
  const bytes = Buffer.from(text, "utf8")
  if (bytes.length < shortestMasked) return []
  const lines = text.split(/\r\n|\r|\n/)
  const parts = lines.length === 1 ? [] : lines.filter((line) => Buffer.byteLength(line) >= shortestLine)
  const forms = new Set([
    text,
    ...inHex(bytes),
    ...inWholeBase64(bytes),
    ...inBase64(bytes),
    ...inUrls(text),
    ...inJson(text),
    inShell(text),
    ...parts
  ])
  return [...forms].map((form) => Buffer.from(form, "utf8")).filter((form) => form.length >= shortestMasked)
}

/** As a shell prints it with -x. */
const inShell = (text: string): string => text.replaceAll("'", "'\\''")
