/**
 * Rows in columns, for people. Names and ids are anything, so what a terminal
 * would obey is shown as an escape instead.
 *
 * On a terminal that is too narrow the widest columns give way, but not those of ids,
 * which are there to be copied. Where there is no terminal nothing is left out.
 */
import { fstatSync } from "node:fs"
import { isPlain, quote } from "../../domain/goText.ts"

export interface Fit {
  /** Columns of the terminal; undefined where there is none. */
  readonly width?: number | undefined
  /** The columns that are shown whole, by their heads. */
  readonly whole?: ReadonlyArray<string>
}

/** A column is not made narrower than this. */
const narrowest = 8
const gap = 2

export const table = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  { whole = [], width = terminalWidth() }: Fit = {}
): string => {
  const shown = [head, ...rows.map((row) => row.map(printable))]
  const wanted = head.map((_, column) => shown.reduce((most, row) => Math.max(most, (row[column] ?? "").length), 0))
  const widths = width === undefined ? wanted : fitting(wanted, width, (column) => whole.includes(head[column] ?? ""))
  return shown
    .map(
      (row) =>
        `${row
          .map((cell, column) => truncate(cell, widths[column] ?? 0).padEnd(widths[column] ?? 0))
          .join(" ".repeat(gap))
          .trimEnd()}\n`
    )
    .join("")
}

/** Only a terminal is asked, for that has Node make a stream of it. */
const terminalWidth = () => (fstatSync(1).isCharacterDevice() ? process.stdout.columns : undefined)

const fitting = (wanted: ReadonlyArray<number>, width: number, isWhole: (column: number) => boolean) => {
  const widths = [...wanted]
  let excess = widths.reduce((sum, column) => sum + column, gap * (widths.length - 1)) - width
  for (; excess > 0; excess -= 1) {
    let widest = -1
    for (const [column, one] of widths.entries()) {
      if (one > narrowest && !isWhole(column) && one > (widths[widest] ?? 0)) widest = column
    }
    if (widest < 0) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}

/** A text in so many columns at the most, and no character cut in two. */
export const truncate = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1)).replace(/[\ud800-\udbff]$/, "")}…`

/** A text on one line, without control characters. */
export const printable = (text: string): string =>
  isPlain(text) ? text : quote(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("\\\\", "\\")
