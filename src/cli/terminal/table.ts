/**
 * Tables for people. Cells may hold any text, so control characters are escaped.
 *
 * On a narrow terminal the widest columns are truncated, except those that must stay
 * whole, such as ids. Without a terminal nothing is truncated.
 */
import { fstatSync } from "node:fs"
import { isPlain, quote } from "../../domain/goText.ts"

export interface TableOptions {
  /** Width of the terminal; undefined without one. */
  readonly width?: number | undefined
  /** Heads of the columns that are never truncated. */
  readonly whole?: ReadonlyArray<string>
}

const minColumnWidth = 8
const gap = 2

export const table = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  { whole = [], width = terminalWidth() }: TableOptions = {}
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

/** Node creates a stream on the first use of process.stdout, which is slow; only a terminal needs it. */
const terminalWidth = () => (fstatSync(1).isCharacterDevice() ? process.stdout.columns : undefined)

const fitting = (wanted: ReadonlyArray<number>, width: number, isWhole: (column: number) => boolean) => {
  const widths = [...wanted]
  let excess = widths.reduce((sum, column) => sum + column, gap * (widths.length - 1)) - width
  for (; excess > 0; excess -= 1) {
    let widest = -1
    for (const [column, one] of widths.entries()) {
      if (one > minColumnWidth && !isWhole(column) && one > (widths[widest] ?? 0)) widest = column
    }
    if (widest < 0) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}

/** Truncates to a width in UTF-16 units, without splitting a surrogate pair. */
export const truncate = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1)).replace(/[\ud800-\udbff]$/, "")}…`

/** Escapes control characters, so that the text fits on one line and cannot control the terminal. */
export const printable = (text: string): string =>
  isPlain(text) ? text : quote(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("\\\\", "\\")
