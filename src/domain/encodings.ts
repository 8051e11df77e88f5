/**
 * The encodings that programs put a value into on its way to a file or a log, each
 * with all its spellings.
 *
 * `exec --mask` hides them and `scan` looks for them, so that neither knows one that
 * the other does not. Whoever gets these has the value.
 */

export const inHex = (bytes: Buffer): ReadonlyArray<string> => {
  const hex = bytes.toString("hex")
  return [hex, hex.toUpperCase()]
}

/**
 * The letters that the value alone decides, for each of the three places of a group of four at which it can begin
 * inside of something that is encoded as a whole. Where it begins that, also in the lines that `base64` and `openssl`
 * make of it.
 */
export const inBase64 = (bytes: Buffer): ReadonlyArray<string> => {
  const [first = "", ...inside] = [0, 1, 2].map((before) => {
    const letters = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64")
    return letters.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6))
  })
  return [first, ...inside, inLines(first, 76), inLines(first, 64)].flatMap(withSafe)
}

/** With padding and without. */
export const inWholeBase64 = (bytes: Buffer): ReadonlyArray<string> => {
  const whole = bytes.toString("base64")
  return [whole, whole.replaceAll("=", "")].flatMap(withSafe)
}

const inLines = (text: string, length: number): string =>
  text.replaceAll(new RegExp(`.{${length}}(?=.)`, "g"), (line) => `${line}\n`)

/** With the two letters that addresses and names of files take instead. */
const withSafe = (base64: string): ReadonlyArray<string> => [base64, base64.replaceAll("+", "-").replaceAll("/", "_")]

/** In a path and in a form, which write blanks and some signs differently. */
export const inUrls = (text: string): ReadonlyArray<string> => {
  const usual = encodeURIComponent(text)
  const strict = usual.replaceAll(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)
  const inForm = new URLSearchParams([["", text]]).toString().slice(1)
  return [usual, strict, inForm].flatMap((form) => [
    form,
    form.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())
  ])
}

/** As JavaScript writes it, as Go does, as Python does, and as PHP does. */
export const inJson = (text: string): ReadonlyArray<string> => {
  const usual = JSON.stringify(text).slice(1, -1)
  const escaped = (pattern: RegExp) =>
    usual.replaceAll(pattern, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`)
  return [usual, escaped(/[<>&\u2028\u2029]/g), escaped(/[\u007f-\uffff]/g), usual.replaceAll("/", "\\/")]
}
