/**
 * Text broken into lines of a width. It loads nothing: the help uses it.
 */

/** Breaks a text at blanks; a longer word has a line of its own. */
export const wrapText = (text: string, width: number): ReadonlyArray<string> =>
  text.match(new RegExp(String.raw`.{1,${width}}(?=\s|$)|\S+`, "gu"))?.map((line) => line.trimStart()) ?? []

/** The least width of a text behind a head. */
const minWidth = 20

/** Breaks the text behind a head, and indents what follows its first line. */
export const wrapBehind = (head: string, text: string, columns: number): ReadonlyArray<string> => {
  const indentation = " ".repeat(head.length)
  return wrapText(text, Math.max(columns - head.length, minWidth)).map(
    (line, at) => `${at === 0 ? head : indentation}${line}`
  )
}
