/** Distinguished Encoding Rules of ASN.1, as far as certificates need them. */

/** Returns one element: its tag, its length and its content. */
export const element = (tag: number, ...parts: ReadonlyArray<Buffer>): Buffer => {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag, ...lengthBytes(content.length)]), content])
}

const lengthBytes = (length: number): ReadonlyArray<number> => {
  if (length < 0x80) return [length]
  const bytes: Array<number> = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return [0x80 + bytes.length, ...bytes]
}

export const sequence = (...parts: ReadonlyArray<Buffer>): Buffer => element(0x30, ...parts)
export const setOf = (...parts: ReadonlyArray<Buffer>): Buffer => element(0x31, ...parts)
export const octets = (...parts: ReadonlyArray<Buffer>): Buffer => element(0x04, ...parts)
export const utf8 = (text: string): Buffer => element(0x0c, Buffer.from(text, "utf8"))
export const truth = element(0x01, Buffer.of(0xff))

/** Returns an element that a structure marks with a number; it holds others, or bytes. */
export const tagged = (number: number, kind: "constructed" | "primitive", ...parts: ReadonlyArray<Buffer>): Buffer =>
  element((kind === "constructed" ? 0xa0 : 0x80) + number, ...parts)

/** Returns a positive integer, of big-endian bytes. */
export const integer = (bytes: Buffer): Buffer => {
  const first = bytes.findIndex((byte) => byte !== 0)
  const short = first < 0 ? Buffer.of(0) : bytes.subarray(first)
  return element(0x02, (short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), short]) : short)
}

/** Returns a string of bits, of which the last ones are not used. */
export const bits = (bytes: Buffer, unused = 0): Buffer => element(0x03, Buffer.of(unused), bytes)

/** Returns an object identifier, written with dots. */
export const identifier = (dotted: string): Buffer => {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number)
  return element(0x06, Buffer.from([40 * first + second, ...rest.flatMap(base128)]))
}

const base128 = (number: number): ReadonlyArray<number> => {
  const bytes = [number % 128]
  for (let rest = Math.floor(number / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift(128 + (rest % 128))
  return bytes
}

/** Returns a time, from RFC 3339 in UTC: with two digits of the year up to 2049. */
export const time = (text: string): Buffer => {
  const digits = text.slice(0, "2026-11-30T12:00:00".length).replaceAll(/\D/g, "")
  return text < "2050" ? element(0x17, Buffer.from(`${digits.slice(2)}Z`)) : element(0x18, Buffer.from(`${digits}Z`))
}

/** Returns the PEM text of a certificate. */
export const certificatePem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString("base64").replaceAll(/.{64}(?=.)/g, "$&\n")}\n-----END CERTIFICATE-----\n`
