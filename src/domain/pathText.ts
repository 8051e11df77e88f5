/**
 * File names as text: names are bytes, which need not be UTF-8. Each byte that is not stands
 * as an unpaired surrogate from U+DC80 to U+DCFF, as in Python, so that no two names are one.
 */

/** Decodes a name that the system or git returned. */
export const decodePath = (bytes: Buffer): string => {
  const text = bytes.toString("utf8")
  return text.includes("\ufffd")
    ? bytes
        .toString("latin1")
        .replace(characters, (found, invalid?: string) =>
          invalid === undefined
            ? Buffer.from(found, "latin1").toString("utf8")
            : String.fromCharCode(0xdc00 + invalid.charCodeAt(0))
        )
    : text
}

/** The bytes of one UTF-8 character above ASCII, or one byte that belongs to none. */
const characters =
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|([\x80-\xff])/g

/** Encodes a name for a system call; most are returned as they are. */
export const encodePath = (text: string): string | Buffer =>
  invalidByte.test(text)
    ? Buffer.concat(
        Array.from(text, (character) =>
          invalidByte.test(character) ? Buffer.of(character.charCodeAt(0) - 0xdc00) : Buffer.from(character)
        )
      )
    : text

const invalidByte = /[\udc80-\udcff]/u
