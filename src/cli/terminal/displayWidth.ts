/**
 * The width of escaped text on a terminal, in columns: ideographs and emoji take two,
 * combining marks none. Terminals differ in the rest.
 */

/** Almost every text, and much faster to measure. */
const plain = /^[ -~]*$/

export const displayWidth = (text: string): number => {
  if (plain.test(text)) return text.length
  let width = 0
  for (const character of text) width += characterWidth(character)
  return width
}

const characterWidth = (character: string): number =>
  character < "\u0300" ? 1 : /^[\p{Mn}\p{Me}]/u.test(character) ? 0 : wide.test(character) ? 2 : 1

const wide =
  /^(?:[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|(?![\u{1f1e6}-\u{1f1ff}])\p{Emoji_Presentation})/u

export const padEnd = (text: string, width: number): string =>
  text + " ".repeat(Math.max(0, width - displayWidth(text)))

/** Truncates to a width, between two characters. */
export const truncate = (text: string, width: number): string => {
  if (displayWidth(text) <= width) return text
  let kept = ""
  let used = 1
  for (const character of text) {
    used += characterWidth(character)
    if (used > width) break
    kept += character
  }
  return `${kept}…`
}
