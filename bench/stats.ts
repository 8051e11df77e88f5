/**
 * Results of benchmarks: Markdown tables on standard output, and all numbers as JSON in dist.
 */
import * as fs from "node:fs"

export const rounded = (value: number, digits = 2): number => Number(value.toFixed(digits))

export const mebibytes = (bytes: number): number => rounded(bytes / 1024 / 1024)

/** Prints every table among the results and writes all of them to dist/bench-NAME.json. */
export const print = (name: string, results: Readonly<Record<string, unknown>>): void => {
  for (const [title, rows] of Object.entries(results)) {
    if (Array.isArray(rows)) process.stdout.write(`\n${name}: ${title}\n\n${markdown(rows)}\n`)
  }
  const file = `dist/bench-${name}.json`
  fs.writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`)
  process.stdout.write(`\nall numbers: ${file}\n`)
}

const markdown = (rows: ReadonlyArray<Readonly<Record<string, unknown>>>): string => {
  const columns = Object.keys(rows[0] ?? {})
  const lines = [columns, columns.map(() => "---"), ...rows.map((row) => columns.map((column) => row[column]))]
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n")
}
