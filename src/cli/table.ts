/**
 * Rows in columns, for people. Names and ids are anything, so what a terminal
 * would obey is shown as an escape instead.
 */
import { quote } from "../domain/goText.ts"

export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const shown = [head, ...rows.map((row) => row.map(printable))]
  const widths = head.map((_, column) => Math.max(...shown.map((row) => (row[column] ?? "").length)))
  return shown
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`
    )
    .join("")
}

/** A text on one line, without control characters. */
export const printable = (text: string): string =>
  quote(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("\\\\", "\\")
