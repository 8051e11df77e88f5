/**
 * A picture of docs/dashboard.json, for those who have no Grafana at hand: the same
 * panels and the same expressions, answered by a Prometheus and drawn as SVG.
 *
 *     node scripts/dashboardPicture.ts http://127.0.0.1:9090 MINUTES [UNTIL [CAPTION]]   writes docs/dashboard.svg
 *
 * It shows so many minutes until then, or now. Of Grafana's drawing it has what our panels use, and no more.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { text } from "../bench/svg.ts"

interface Panel {
  readonly title: string
  readonly type: "stat" | "timeseries"
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly fieldConfig: {
    readonly defaults: {
      readonly unit: string
      readonly thresholds?: { readonly steps: ReadonlyArray<{ readonly color: string; readonly value: number | null }> }
      readonly custom?: { readonly stacking: { readonly mode: "none" | "normal" } }
    }
  }
  readonly targets: ReadonlyArray<{ readonly expr: string; readonly legendFormat: string }>
}

interface Line {
  readonly name: string
  /** By their times in seconds; one that is not there is a gap. */
  readonly values: ReadonlyMap<number, number>
}

interface Span {
  readonly from: number
  readonly to: number
  readonly step: number
}

interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

const width = 1440
const column = (width - 8) / 24
const row = 34
const header = 44
/** Some looks of Prometheus at the figures, and short enough to see a burst. */
const rateInterval = "20s"
const palette = ["#3274d9", "#e0752d", "#56a64b", "#c4162a", "#8f3bb8", "#d19a00", "#1f9e9e", "#6b6b6b"]
const colors: Readonly<Record<string, string>> = {
  text: "#24292e",
  green: "#37872d",
  orange: "#d9730d",
  red: "#c4162a"
}

// ---- what Prometheus says

const asked = (expression: string, { from, to }: Span): string =>
  expression
    .replaceAll("$job", ".+")
    .replaceAll("$__rate_interval", rateInterval)
    .replaceAll("$__range", `${to - from}s`)

const ask = async (
  prometheus: string,
  path: string,
  parameters: Record<string, string>
): Promise<ReadonlyArray<any>> => {
  const answer: any = await (await fetch(`${prometheus}/api/v1/${path}?${new URLSearchParams(parameters)}`)).json()
  if (answer.status !== "success") throw new Error(`${parameters["query"]}: ${answer.error}`)
  return answer.data.result
}

const linesOf = async (prometheus: string, { targets }: Panel, span: Span): Promise<ReadonlyArray<Line>> => {
  const found: Array<Line> = []
  for (const { expr, legendFormat } of targets) {
    const { from, step, to } = span
    const range = { start: String(from), end: String(to), step: String(step) }
    for (const { metric, values } of await ask(prometheus, "query_range", { query: asked(expr, span), ...range })) {
      const numbers = values.map(([at, text]: [number, string]) => [at, Number(text)] as const)
      found.push({
        name: legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ""),
        values: new Map(numbers.filter(([, value]: [number, number]) => Number.isFinite(value)))
      })
    }
  }
  return found.filter(({ values }) => values.size > 0)
}

// ---- numbers and words

const plain = (value: number): string => String(Number(value.toPrecision(3)))

const shown = (value: number, unit: string): string => {
  if (unit.startsWith("suffix:")) return `${plain(value)}${unit.slice("suffix:".length)}`
  if (unit !== "s") return Math.round(value) >= 1000 ? `${plain(value / 1000)} K` : plain(value)
  if (value === 0) return "0 s"
  if (value < 0.001) return `${plain(value * 1e6)} µs`
  if (value < 1) return `${plain(value * 1000)} ms`
  return value < 60 ? `${plain(value)} s` : `${plain(value / 60)} min`
}

/** Where the lines across the panel are: some four of them, at round numbers. */
const ticksOf = (highest: number, unit: string): ReadonlyArray<number> => {
  const minutes = unit === "s" && highest > 90 ? 60 : 1
  const most = highest > 0 ? highest : 1
  const rough = most / minutes / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power * minutes
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, n) => n * step)
}

const frame = ({ height, left, top, width: wide }: Box, title: string) =>
  `<rect x="${left}" y="${top}" width="${wide}" height="${height}" rx="3" fill="#fff" stroke="#dde1e6"/>` +
  text(left + 10, top + 20, title, 'class="title"')

// ---- panels

const statPanel = (box: Box, { fieldConfig, title }: Panel, value: number | undefined): string => {
  const { thresholds, unit } = fieldConfig.defaults
  const rounded = value === undefined ? undefined : Math.round(value)
  const step = thresholds?.steps.findLast(({ value: from }) => from === null || (rounded ?? 0) >= from)
  const words = rounded === undefined ? "no data" : shown(rounded, unit)
  const style = `class="stat" style="fill:${colors[step?.color ?? "text"] ?? "#24292e"}" text-anchor="middle"`
  return frame(box, title) + text(box.left + box.width / 2, box.top + box.height / 2 + 22, words, style)
}

/** Each line as it is drawn: on top of those before it where they are stacked. */
const stacked = (lines: ReadonlyArray<Line>, isStacked: boolean) => {
  const below = new Map<number, number>()
  return lines.map(({ name, values }) => {
    const points = [...values].map(([at, value]) => {
      const floor = isStacked ? (below.get(at) ?? 0) : 0
      below.set(at, floor + value)
      return { at, floor, value: floor + value }
    })
    return { name, points }
  })
}

type Drawn = ReturnType<typeof stacked>[number]

/** The points in pieces, cut where some are missing. */
const pieces = (points: Drawn["points"], step: number): ReadonlyArray<Drawn["points"]> => {
  const cut: Array<Drawn["points"]> = []
  for (const point of points) {
    const last = cut.at(-1)
    if (last !== undefined && point.at - (last.at(-1)?.at ?? 0) < step * 1.5) last.push(point)
    else cut.push([point])
  }
  return cut
}

const chart = (box: Box, { fieldConfig, title }: Panel, lines: ReadonlyArray<Line>, span: Span): string => {
  const { custom, unit } = fieldConfig.defaults
  const isStacked = custom?.stacking.mode === "normal"
  const drawn = stacked(lines, isStacked)
  const ticks = ticksOf(Math.max(0, ...drawn.flatMap(({ points }) => points.map(({ value }) => value))), unit)
  const highest = ticks.at(-1) ?? 1
  const plot = { left: box.left + 64, top: box.top + 36, width: box.width - 80, height: box.height - 90 }
  const x = (at: number) => plot.left + ((at - span.from) / (span.to - span.from)) * plot.width
  const y = (value: number) => plot.top + plot.height - (value / highest) * plot.height
  const parts = [frame(box, title), ...axes(plot, ticks, unit, span, x, y)]
  for (const [n, { points }] of drawn.entries()) {
    const color = palette[n % palette.length] ?? "#000"
    for (const piece of pieces(points, span.step)) {
      const above = piece.map(({ at, value }) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`)
      const under = piece.map(({ at, floor }) => `${x(at).toFixed(1)},${y(floor).toFixed(1)}`).toReversed()
      if (isStacked) parts.push(`<path d="M${[...above, ...under].join("L")}Z" fill="${color}" fill-opacity="0.35"/>`)
      parts.push(`<path d="M${above.join("L")}" fill="none" stroke="${color}" stroke-width="1.5"/>`)
    }
  }
  return [...parts, ...legend(box, drawn)].join("\n")
}

const axes = (
  plot: Box,
  ticks: ReadonlyArray<number>,
  unit: string,
  { from, to }: Span,
  x: (at: number) => number,
  y: (value: number) => number
): ReadonlyArray<string> => {
  const line = (x1: number, y1: number, x2: number, y2: number) =>
    `<path d="M${x1.toFixed(1)},${y1.toFixed(1)}L${x2.toFixed(1)},${y2.toFixed(1)}" stroke="#e8eaed"/>`
  const across = ticks.flatMap((tick) => [
    line(plot.left, y(tick), plot.left + plot.width, y(tick)),
    text(plot.left - 8, y(tick) + 4, shown(tick, unit), 'class="axis" text-anchor="end"')
  ])
  const every = [60, 120, 300, 600, 1800, 3600].find((step) => ((to - from) / step) * 60 < plot.width) ?? 7200
  const times = Array.from(
    { length: Math.ceil((to - from) / every) + 1 },
    (_, n) => Math.ceil(from / every + n) * every
  )
  const down = times
    .filter((at) => at <= to)
    .flatMap((at) => [
      line(x(at), plot.top, x(at), plot.top + plot.height),
      text(x(at), plot.top + plot.height + 16, clock(at), 'class="axis" text-anchor="middle"')
    ])
  return [...across, ...down]
}

const clock = (at: number) => new Date(at * 1000).toISOString().slice(11, 16)

const legend = (box: Box, drawn: ReadonlyArray<Drawn>): ReadonlyArray<string> => {
  let left = box.left + 16
  const at = box.top + box.height - 14
  return drawn.map(({ name }, n) => {
    const here = left
    left += 30 + name.length * 6.6
    const swatch = `<rect x="${here}" y="${at - 5}" width="14" height="3" fill="${palette[n % palette.length]}"/>`
    return swatch + text(here + 19, at, name, 'class="legend"')
  })
}

// ---- the whole

const style = `text{font-family:Inter,"Helvetica Neue",Helvetica,Arial,sans-serif;fill:#24292e}
.head{font-size:18px;font-weight:600}.title{font-size:13px;font-weight:600}.axis{font-size:11px;fill:#5f6b76}
.legend{font-size:12px;fill:#3c4650}.stat{font-size:34px;font-weight:600}.note{font-size:12px;fill:#5f6b76}`

const picture = async (prometheus: string, span: Span, caption: string): Promise<string> => {
  const dashboard = JSON.parse(readFileSync(new URL("../docs/dashboard.json", import.meta.url), "utf8"))
  const panels: ReadonlyArray<Panel> = dashboard.panels
  const drawn: Array<string> = []
  for (const panel of panels) {
    const { h, w, x, y } = panel.gridPos
    const box = { left: 8 + x * column, top: header + y * row, width: w * column - 8, height: h * row - 8 }
    if (panel.type === "stat") {
      const query = asked(panel.targets[0]?.expr ?? "", span)
      const [found] = await ask(prometheus, "query", { query, time: String(span.to) })
      drawn.push(statPanel(box, panel, found === undefined ? undefined : Number(found.value[1])))
    } else drawn.push(chart(box, panel, await linesOf(prometheus, panel, span), span))
  }
  const bottom = header + Math.max(...panels.map(({ gridPos: { h, y } }) => y + h)) * row
  const day = new Date(span.to * 1000).toISOString().slice(0, 10)
  const notes = [
    `Drawn by scripts/dashboardPicture.ts from what a Prometheus recorded of a real daemon on ${day} (UTC); panels and expressions are those of dashboard.json.`,
    caption
  ].filter((note) => note !== "")
  const height = bottom + 12 + notes.length * 18
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<style>${style}</style>`,
    `<rect width="${width}" height="${height}" fill="#f4f5f7"/>`,
    text(16, 29, dashboard.title, 'class="head"'),
    text(width - 16, 28, `${clock(span.from)} to ${clock(span.to)}`, 'class="note" text-anchor="end"'),
    ...drawn,
    ...notes.map((note, n) => text(16, bottom + 14 + n * 18, note, 'class="note"')),
    "</svg>\n"
  ].join("\n")
}

const [prometheus = "http://127.0.0.1:9090", minutes = "60", until = "", caption = ""] = process.argv.slice(2)
const to = Math.floor((until === "" ? Date.now() : Date.parse(until)) / 1000)
const from = to - Math.round(Number(minutes) * 60)
const drawing = await picture(prometheus, { from, to, step: Math.max(1, Math.round((to - from) / 240)) }, caption)
writeFileSync(fileURLToPath(new URL("../docs/dashboard.svg", import.meta.url)), drawing)
