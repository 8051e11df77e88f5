/**
 * `npm run bench -- plot`: the pictures and tables of docs/performance.md, made from
 * dist/bench-*.json of the last runs. Prose is left alone: a table stands between
 * the marks of its name. What was not measured keeps its picture and its table.
 */
import * as fs from "node:fs"
import { bars, chart, type Series } from "./svg.ts"

type Row = Readonly<Record<string, string | number>>
type Figures = Readonly<Record<string, unknown>>

const directory = new URL("../docs/performance/", import.meta.url)
const documentFile = new URL("../docs/performance.md", import.meta.url)

const read = (name: string): Figures | undefined => {
  const file = new URL(`../dist/bench-${name}.json`, import.meta.url)
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : undefined
}

const rowsOf = (figures: Figures | undefined, table: string): ReadonlyArray<Row> => {
  const rows = figures?.[table]
  return Array.isArray(rows) ? rows : []
}

const points = (rows: ReadonlyArray<Row>, x: string, y: string): Series["points"] =>
  rows.map((row) => [Number(row[x]), Number(row[y])] as const)

/** What the predecessor's own figures say, taken on another machine of two cores. */
const published = "Go v0.4.1, published, other machine"
/** One connection: leases a second where so many are held. */
const publishedRates = [
  [1, 238],
  [3_000, 58],
  [5_600, 11]
] as const
/** The median that is told for thirty thousand; not on how many connections. */
const publishedMedian = [30_000, 303] as const

const write = (name: string, svg: string): void => fs.writeFileSync(new URL(`${name}.svg`, directory), svg)

const drawGrowth = (growth: Figures): void => {
  const own = rowsOf(growth, "curve")
  if (own.length === 0) return
  write(
    "growth",
    chart({
      title: "One lease on one connection, by how many are held",
      x: { label: "leases held", log: true },
      y: { label: "milliseconds, median", log: true },
      series: [
        { name: "agent-secrets", points: points(own, "leases held", "p50 ms") },
        { name: published, points: publishedRates.map(([held, rate]) => [held, 1000 / rate] as const), dashed: true },
        { name: "the same, its median at 30,000", points: [publishedMedian], dashed: true },
        ...(rowsOf(growth, "predecessor").length > 0
          ? [
              {
                name: "Go v0.4.1, this machine",
                points: points(rowsOf(growth, "predecessor"), "leases held", "p50 ms")
              }
            ]
          : [])
      ]
    })
  )
}

const drawThroughput = (acquire: Figures): void => {
  const own = rowsOf(acquire, "acquire")
  const raw = Number(rowsOf(acquire, "floors")[0]?.["per second"])
  const measured = rowsOf(acquire, "predecessor, this machine")
  write(
    "throughput",
    chart({
      title: "Durable leases a second, by connections",
      x: { label: "connections", log: true },
      y: { label: "leases a second", log: true },
      series: [
        { name: "agent-secrets", points: points(own, "connections", "per second") },
        {
          name: "bare node:net, same commit",
          points: points(rowsOf(acquire, "bare server"), "connections", "per second")
        },
        {
          name: "raw append + fdatasync, in turn",
          points: own.map((row) => [Number(row["connections"]), raw] as const),
          dashed: true
        },
        ...(measured.length > 0
          ? [{ name: "Go v0.4.1, this machine", points: points(measured, "connections", "per second") }]
          : [])
      ]
    })
  )
}

const drawStarts = (idle: Figures, held: Figures | undefined): void => {
  const [start] = rowsOf(idle, "start")
  const [loaded] = rowsOf(held, "start")
  if (start === undefined) return
  write(
    "start",
    bars({
      title: "Until it serves",
      label: "milliseconds, median",
      bars: [
        ["node -e 0", Number(start["node -e 0 ms"])] as const,
        ["no leases", Number(start["until it serves ms"])] as const,
        ...Object.entries(loaded ?? {})
          .filter(([name]) => name.startsWith("start with"))
          .map(([name, value]) => [`${name.replace(/^start with (\d+) ms$/, "$1")} leases`, Number(value)] as const)
      ]
    })
  )
}

const tableLine = (cells: ReadonlyArray<unknown>): string => `| ${cells.join(" | ")} |`

const tableOf = (rows: ReadonlyArray<Row>): string => {
  const columns = Object.keys(rows[0] ?? {})
  return [
    tableLine(columns),
    `|${"---|".repeat(columns.length)}`,
    ...rows.map((row) => tableLine(columns.map((name) => row[name] ?? "")))
  ].join("\n")
}

/** Puts each measured table between `<!-- bench: NAME TABLE -->` and `<!-- end -->`. */
const fillTables = (text: string): string =>
  text.replace(/<!-- bench: (\w+) (.+?) -->\n[^]*?<!-- end -->/g, (whole, name: string, table: string) => {
    const rows = rowsOf(read(name), table)
    return rows.length === 0 ? whole : `<!-- bench: ${name} ${table} -->\n\n${tableOf(rows)}\n\n<!-- end -->`
  })

fs.mkdirSync(directory, { recursive: true })
const [acquire, growth, held, idle] = [read("acquire"), read("growth"), read("held"), read("idle")]
if (growth !== undefined) drawGrowth(growth)
if (acquire !== undefined) drawThroughput(acquire)
if (idle !== undefined) drawStarts(idle, held)
fs.writeFileSync(documentFile, fillTables(fs.readFileSync(documentFile, "utf8")))
process.stdout.write("docs/performance.md and docs/performance/*.svg are made anew\n")
