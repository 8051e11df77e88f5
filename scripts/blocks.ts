/**
 * Splits the text about a command into paragraphs, whose lines are joined, and indented
 * lines, which are examples.
 */
export const blocksOf = (text: string): ReadonlyArray<{ readonly isCode: boolean; readonly text: string }> =>
  text
    .split(/\n\n|(?<!^  .*)\n(?=  )|(?<=^  .*)\n(?!  )/m)
    .filter((block) => block !== "")
    .map((block) =>
      block.startsWith("  ")
        ? { isCode: true, text: block.replaceAll(/^  /gm, "") }
        : { isCode: false, text: block.replaceAll("\n", " ") }
    )
