/**
 * Finds a value in any encoding: plain, base64 at any offset of a longer text, hex, JSON, URL.
 *
 * A value needs at least eight characters, or it may be found by chance.
 */

/** Returns the names of the encodings of a value that the bytes contain. */
export const formsIn = (bytes: Buffer, value: string): ReadonlyArray<string> =>
  [...formsOf(value)].filter(([, form]) => bytes.includes(form)).map(([name]) => name)

const formsOf = (value: string): ReadonlyMap<string, Buffer> => {
  const bytes = Buffer.from(value, "utf8")
  const hex = bytes.toString("hex")
  const inJson = JSON.stringify(value).slice(1, -1)
  const forms = new Map([
    ["plain", value],
    ["hex", hex],
    ["HEX", hex.toUpperCase()],
    ["hex of an inspected Buffer", hex.replaceAll(/(..)(?!$)/g, "$1 ")],
    ["JSON", inJson],
    ["JSON twice", JSON.stringify(inJson).slice(1, -1)],
    ["JSON in ASCII", inJson.replaceAll(/[^\x20-\x7e]/g, unicodeEscape)],
    ["JSON of Go", inJson.replaceAll(/[<>&]/g, unicodeEscape)],
    ["URL", encodeURIComponent(value)],
    ["path", encodeURIComponent(value).replaceAll("%2F", "/")],
    ["form", new URLSearchParams({ v: value }).toString().slice(2)],
    ["bytes", [...bytes].join(",")]
  ])
  for (const before of [0, 1, 2]) {
    forms.set(`base64 at ${before}`, inBase64(bytes, before))
    forms.set(`base64url at ${before}`, inBase64(bytes, before).replaceAll("+", "-").replaceAll("/", "_"))
  }
  // A log that splits lines shows a value of several lines in pieces.
  value.split("\n").forEach((line, n) => {
    if (line.length >= 8) forms.set(`line ${n + 1}`, line)
  })
  return new Map([...forms].map(([name, form]) => [name, Buffer.from(form, "utf8")]))
}

const unicodeEscape = (letter: string) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`

/** Returns the base64 characters that depend on the value alone if so many bytes, modulo 3, precede it. */
const inBase64 = (bytes: Buffer, before: number): string => {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64")
  const whole = Math.floor(((before + bytes.length) * 8) / 6)
  return text.slice(Math.ceil((before * 8) / 6), whole)
}
