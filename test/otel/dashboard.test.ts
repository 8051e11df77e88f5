/**
 * docs/dashboard.json shows every metric, by its Prometheus name, and no others.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { instruments, prometheusName } from "../../src/otel/metrics.ts"

interface Panel {
  readonly id: number
  readonly title: string
  readonly description: string
  readonly type: string
  readonly datasource: { readonly uid: string }
  readonly fieldConfig: { readonly defaults: { readonly unit: string } }
  readonly targets: ReadonlyArray<{ readonly expr: string; readonly legendFormat: string }>
}

const dashboard = JSON.parse(fs.readFileSync(new URL("../../docs/dashboard.json", import.meta.url), "utf8"))
const panels: ReadonlyArray<Panel> = dashboard.panels
const expressions = panels.flatMap(({ targets }) => targets)

/** The Prometheus series of each metric, with the labels that distinguish them. */
const series = new Map<string, ReadonlyArray<string>>()
for (const { attribute, kind, name } of instruments) {
  const base = prometheusName(name).replaceAll(".", "_")
  if (kind === "histogram") series.set(`${base}_bucket`, ["le"]).set(`${base}_sum`, []).set(`${base}_count`, [])
  else series.set(base, attribute === undefined ? [] : [attribute.replaceAll(".", "_")])
}

const seriesIn = (expression: string): ReadonlyArray<string> =>
  [...expression.matchAll(/\b(\w+)\{/g)].map(([, name = ""]) => name)

describe("the dashboard", () => {
  it("queries no unknown series", () => {
    for (const { expr } of expressions) {
      assert.isNotEmpty(seriesIn(expr), expr)
      for (const name of seriesIn(expr)) assert.isTrue(series.has(name), `${name} in ${expr}`)
    }
  })

  it("shows each metric", () => {
    const shown = new Set(expressions.flatMap(({ expr }) => seriesIn(expr)))
    for (const { name } of instruments) {
      const base = prometheusName(name).replaceAll(".", "_")
      assert.isTrue(shown.has(base) || shown.has(`${base}_bucket`), name)
    }
  })

  it("distinguishes series by labels that they have", () => {
    for (const { expr, legendFormat } of expressions) {
      const labels = seriesIn(expr).flatMap((name) => series.get(name) ?? [])
      const used = [...expr.matchAll(/by \((\w+)\)/g), ...legendFormat.matchAll(/\{\{(\w+)\}\}/g)]
      for (const [, label = ""] of used) assert.include(labels, label, expr)
    }
  })

  it("takes its data source from a variable, and each panel has a title, a unit and a description", () => {
    assert.strictEqual(dashboard.templating.list[0].type, "datasource")
    assert.strictEqual(new Set(panels.map(({ id }) => id)).size, panels.length)
    for (const { datasource, description, fieldConfig, title } of panels) {
      assert.strictEqual(datasource.uid, "${datasource}")
      assert.isTrue([title, description, fieldConfig.defaults.unit].every((text) => text.length > 0))
    }
  })
})
