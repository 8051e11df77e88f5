/**
 * Plain pictures of figures as SVG: lines over two axes, each straight or
 * logarithmic, and bars. Light, with no script and no font of its own. It knows
 * nothing of what the figures mean.
 */
export interface Series {
  readonly name: string
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
  readonly dashed?: boolean
}

interface Axis {
  readonly label: string
  readonly log: boolean
}

export interface Chart {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: ReadonlyArray<Series>
}

export interface Bars {
  readonly title: string
  readonly label: string
  readonly bars: ReadonlyArray<readonly [name: string, value: number]>
}

const width = 720
const height = 420
const area = { left: 70, right: 24, top: 46, bottom: 110 } as const
const colours = ["#1f5fbf", "#d0641e", "#2c8a4b", "#8b4fb3", "#777777"]
const grid = "#dddddd"

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;")

/** Words at a place; `more` are attributes. */
export const text = (x: number, y: number, content: string, more = ""): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escaped(content)}</text>`

const line = (x1: number, y1: number, x2: number, y2: number, colour: string): string =>
  `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${colour}"/>`

const picture = (title: string, content: ReadonlyArray<string>): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#222222">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(area.left, 24, title, 'font-size="15" font-weight="bold"'),
    ...content,
    "</svg>",
    ""
  ].join("\n")

const shortNumber = (value: number): string =>
  value >= 1_000_000
    ? `${value / 1_000_000}M`
    : value >= 1_000
      ? `${value / 1_000}k`
      : String(Number(value.toPrecision(3)))

/** The ends of an axis and where its lines are: powers of ten, or about five round steps. */
const scaleOf = (values: ReadonlyArray<number>, log: boolean) => {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  if (log) {
    const [from, to] = [
      Math.floor(Math.log10(least)),
      Math.max(Math.ceil(Math.log10(most)), Math.floor(Math.log10(least)) + 1)
    ]
    const ticks = Array.from({ length: to - from + 1 }, (_, at) => 10 ** (from + at))
    return { ticks, place: (value: number) => (Math.log10(value) - from) / (to - from) }
  }
  const rough = most / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5, 10].find((one) => one * power >= rough) ?? 10) * power
  const ticks = Array.from({ length: Math.ceil(most / step) + 1 }, (_, at) => at * step)
  return { ticks, place: (value: number) => value / (ticks.at(-1) ?? 1) }
}

const bottom = height - area.bottom
const across = (share: number): number => area.left + share * (width - area.left - area.right)
const up = (share: number): number => bottom - share * (bottom - area.top)

const legend = (series: ReadonlyArray<Series>): ReadonlyArray<string> =>
  series.flatMap(({ dashed, name }, at) => {
    const [x, y] = [area.left + (at % 2) * 310, bottom + 62 + Math.floor(at / 2) * 20]
    return [
      `<line x1="${x}" y1="${y - 4}" x2="${x + 24}" y2="${y - 4}" stroke="${colours[at]}" stroke-width="2.5"${dashed === true ? ' stroke-dasharray="5 4"' : ""}/>`,
      text(x + 32, y, name)
    ]
  })

export const chart = ({ series, title, x, y }: Chart): string => {
  const usable = series.map((one) => ({ ...one, points: one.points.filter(([a, b]) => a > 0 && b > 0) }))
  const all = usable.flatMap(({ points }) => points)
  const [xs, ys] = [
    scaleOf(
      all.map(([value]) => value),
      x.log
    ),
    scaleOf(
      all.map(([, value]) => value),
      y.log
    )
  ]
  const at = ([a, b]: readonly [number, number]) => [across(xs.place(a)), up(ys.place(b))] as const
  return picture(title, [
    ...ys.ticks.flatMap((tick) => [
      line(area.left, up(ys.place(tick)), width - area.right, up(ys.place(tick)), grid),
      text(area.left - 8, up(ys.place(tick)) + 4, shortNumber(tick), 'text-anchor="end"')
    ]),
    ...xs.ticks.flatMap((tick) => [
      line(across(xs.place(tick)), area.top, across(xs.place(tick)), bottom, grid),
      text(across(xs.place(tick)), bottom + 18, shortNumber(tick), 'text-anchor="middle"')
    ]),
    text((area.left + width - area.right) / 2, bottom + 38, x.label, 'text-anchor="middle"'),
    text(0, 0, y.label, `text-anchor="middle" transform="translate(18 ${(area.top + bottom) / 2}) rotate(-90)"`),
    ...usable.flatMap(({ dashed, points }, which) => [
      `<polyline fill="none" stroke="${colours[which]}" stroke-width="2.5"${dashed === true ? ' stroke-dasharray="5 4"' : ""} points="${points
        .map((point) =>
          at(point)
            .map((value) => value.toFixed(1))
            .join(",")
        )
        .join(" ")}"/>`,
      ...points.map((point) => {
        const [cx, cy] = at(point)
        return `<circle cx="${cx.toFixed(1)}" cy="${cy.toFixed(1)}" r="3.5" fill="${colours[which]}"/>`
      })
    ]),
    ...legend(usable)
  ])
}

export const bars = ({ bars: all, label, title }: Bars): string => {
  const scale = scaleOf(
    all.map(([, value]) => value),
    false
  )
  const room = (width - area.left - area.right) / all.length
  return picture(title, [
    ...scale.ticks.flatMap((tick) => [
      line(area.left, up(scale.place(tick)), width - area.right, up(scale.place(tick)), grid),
      text(area.left - 8, up(scale.place(tick)) + 4, shortNumber(tick), 'text-anchor="end"')
    ]),
    text(0, 0, label, `text-anchor="middle" transform="translate(18 ${(area.top + bottom) / 2}) rotate(-90)"`),
    ...all.flatMap(([name, value], at) => {
      const [x, top] = [area.left + at * room + room * 0.2, up(scale.place(value))]
      return [
        `<rect x="${x.toFixed(1)}" y="${top.toFixed(1)}" width="${(room * 0.6).toFixed(1)}" height="${(bottom - top).toFixed(1)}" fill="${colours[0]}"/>`,
        text(x + room * 0.3, top - 6, String(Math.round(value)), 'text-anchor="middle"'),
        text(x + room * 0.3, bottom + 18, name, 'text-anchor="middle"')
      ]
    })
  ])
}
