/**
 * The forms in which a value turns up in the output of a program: as it is, line by
 * line, and in the encodings that programs put it into on their way to a log.
 *
 * This finds what is printed by accident. Who wants to get a value past it can, by
 * an encoding that is not here, or a letter at a time.
 */

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
    ...inBase64(bytes),
    ...inUrls(text),
    ...inJson(text),
    inShell(text),
    ...parts
  ])
  return [...forms].map((form) => Buffer.from(form, "utf8")).filter((form) => form.length >= shortestMasked)
}

const inHex = (bytes: Buffer): ReadonlyArray<string> => {
  const hex = bytes.toString("hex")
  return [hex, hex.toUpperCase()]
}

/**
 * A value inside of something that is encoded as a whole begins at one of three
 * places of a group of four letters. The letters that it shares with its neighbours
 * are left out.
 */
const inBase64 = (bytes: Buffer): ReadonlyArray<string> => {
  const whole = bytes.toString("base64")
  const inside = [0, 1, 2].map((before) => {
    const letters = Buffer.concat([Buffer.alloc(before), bytes])
      .toString("base64")
      .replaceAll("=", "")
    const shared = (before + bytes.length) % 3 === 0 ? 0 : 1
    return letters.slice(before === 0 ? 0 : before + 1, letters.length - shared)
  })
  return [whole, whole.replaceAll("=", ""), ...inside].flatMap((form) => [
    form,
    form.replaceAll("+", "-").replaceAll("/", "_")
  ])
}

const inUrls = (text: string): ReadonlyArray<string> => {
  const usual = encodeURIComponent(text)
  const strict = usual.replaceAll(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)
  const inForm = new URLSearchParams([["", text]]).toString().slice(1)
  return [usual, strict, inForm].flatMap((form) => [
    form,
    form.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())
  ])
}

/** As JavaScript writes it, as Go does, as Python does, and as PHP does. */
const inJson = (text: string): ReadonlyArray<string> => {
  const usual = JSON.stringify(text).slice(1, -1)
  const escaped = (pattern: RegExp) =>
    usual.replaceAll(pattern, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`)
  return [usual, escaped(/[<>&\u2028\u2029]/g), escaped(/[\u007f-\uffff]/g), usual.replaceAll("/", "\\/")]
}

/** As a shell prints it with -x. */
const inShell = (text: string): string => text.replaceAll("'", "'\\''")
