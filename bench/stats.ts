/**
 * Figures of benchmarks: quantiles, and a table for people with the same as JSON for
 * programs behind it.
 */
import * as fs from "node:fs"

export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

/** Prints every table among the figures and writes all of them to dist/bench-NAME.json. */
export const print = (name: string, figures: Readonly<Record<string, unknown>>): void => {
  for (const [title, rows] of Object.entries(figures)) {
    if (!Array.isArray(rows)) continue
    process.stdout.write(`\n${name}: ${title}\n\n`)
    table(rows)
  }
  const file = `dist/bench-${name}.json`
  fs.writeFileSync(file, `${JSON.stringify(figures, undefined, 2)}\n`)
  process.stdout.write(`\nall of it: ${file}\n`)
}

const table = (rows: ReadonlyArray<Readonly<Record<string, unknown>>>): void => {
  const columns = Object.keys(rows[0] ?? {})
  const cells = [columns, ...rows.map((row) => columns.map((column) => String(row[column])))]
  const widths = columns.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)))
  for (const row of cells)
    process.stdout.write(
      `${row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd()}\n`
    )
}
