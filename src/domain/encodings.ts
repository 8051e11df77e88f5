/**
 * The encodings of a value that are common in files and logs, each with all its spellings.
 *
 * `exec --mask` and `scan` share them. The results are as secret as the value.
 */

export const inHex = (bytes: Buffer): ReadonlyArray<string> => {
  const hex = bytes.toString("hex")
  return [hex, hex.toUpperCase()]
}

/**
 * Returns the base64 letters that depend on the value alone, for each of the three alignments it can have inside
 * encoded data; for the first also with the line breaks of `base64` and `openssl`.
 */
export const inBase64 = (bytes: Buffer): ReadonlyArray<string> => {
  const [first = "", ...inside] = [0, 1, 2].map((before) => {
    const letters = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64")
    return letters.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6))
  })
  return [first, ...inside, inLines(first, 76), inLines(first, 64)].flatMap(withSafe)
}

/** Returns base64 with and without padding. */
export const inWholeBase64 = (bytes: Buffer): ReadonlyArray<string> => {
  const whole = bytes.toString("base64")
  return [whole, whole.replaceAll("=", "")].flatMap(withSafe)
}

const inLines = (text: string, length: number): string =>
  text.replaceAll(new RegExp(`.{${length}}(?=.)`, "g"), (line) => `${line}\n`)

/** Adds the URL-safe alphabet (base64url). */
const withSafe = (base64: string): ReadonlyArray<string> => [base64, base64.replaceAll("+", "-").replaceAll("/", "_")]

/** Returns percent-encodings: those of paths and of forms, in upper and lower case. */
export const inUrls = (text: string): ReadonlyArray<string> => {
  const usual = encodeURIComponent(text)
  const strict = usual.replaceAll(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)
  const inForm = new URLSearchParams([["", text]]).toString().slice(1)
  return [usual, strict, inForm].flatMap((form) => [
    form,
    form.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())
  ])
}

/** Returns JSON strings as JavaScript, Go, Python and PHP write them. */
export const inJson = (text: string): ReadonlyArray<string> => {
  const usual = JSON.stringify(text).slice(1, -1)
  const escaped = (pattern: RegExp) =>
    usual.replaceAll(pattern, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`)
  return [usual, escaped(/[<>&\u2028\u2029]/g), escaped(/[\u007f-\uffff]/g), usual.replaceAll("/", "\\/")]
}
