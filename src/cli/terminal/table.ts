/**
 * Tables for people, as lines. Cells may hold any text, so they are escaped, and columns align
 * also for wide characters.
 *
 * On a narrow terminal the widest columns are truncated, except those that must stay
 * whole, such as ids. Without a terminal nothing is truncated.
 */
import { fstatSync } from "node:fs"
import { escapeLine, escapeValue } from "../../domain/escape.ts"
import { displayWidth, padEnd, truncate } from "./displayWidth.ts"

export interface TableOptions {
  /** Width of the terminal; undefined without one. */
  readonly width?: number | undefined
  /** Heads of the columns that are never truncated. */
  readonly whole?: ReadonlyArray<string>
  /** Heads of the columns that hold sentences, in which values are escaped already. */
  readonly sentences?: ReadonlyArray<string>
}

const minColumnWidth = 8
/** Blanks between two columns. */
export const gap = 2

export const table = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  { sentences = [], whole = [], width = terminalWidth() }: TableOptions = {}
): ReadonlyArray<string> => {
  const escapes = head.map((name) => (sentences.includes(name) ? escapeLine : escapeValue))
  const shown = [head, ...rows.map((row) => row.map((cell, column) => (escapes[column] ?? escapeValue)(cell)))]
  const wanted = head.map((_, column) =>
    shown.reduce((most, row) => Math.max(most, displayWidth(row[column] ?? "")), 0)
  )
  // A terminal that was given no size says 0.
  const widths =
    width === undefined || width === 0 ? wanted : fitting(wanted, width, (column) => whole.includes(head[column] ?? ""))
  return shown.map((row) => joinCells(row, widths, true))
}

/** Formats a row whose columns have these widths; with `cut`, longer cells are truncated. */
export const formatRow = (
  cells: ReadonlyArray<string>,
  widths: ReadonlyArray<number>,
  escapes: ReadonlyArray<(text: string) => string>,
  cut = false
): string =>
  joinCells(
    cells.map((cell, column) => (escapes[column] ?? escapeValue)(cell)),
    widths,
    cut
  )

const joinCells = (cells: ReadonlyArray<string>, widths: ReadonlyArray<number>, cut: boolean): string =>
  cells
    .map((cell, column) => {
      const width = widths[column] ?? 0
      return padEnd(cut ? truncate(cell, width) : cell, width)
    })
    .join(" ".repeat(gap))
    .trimEnd()

/** Reads the width of a terminal alone: on the first use of process.stdout, Node creates a stream, which is slow. */
export const terminalWidth = () => (fstatSync(1).isCharacterDevice() ? process.stdout.columns : undefined)

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
