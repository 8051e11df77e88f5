/**
 * The dashboard in docs shows the figures there are, by the names that Prometheus has
 * for them, and leaves none out.
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

/** Each series that Prometheus has of a figure, with the labels that it can be told apart by. */
const series = new Map<string, ReadonlyArray<string>>()
for (const { attribute, kind, name } of instruments) {
  const base = prometheusName(name).replaceAll(".", "_")
  if (kind === "histogram") series.set(`${base}_bucket`, ["le"]).set(`${base}_sum`, []).set(`${base}_count`, [])
  else series.set(base, attribute === undefined ? [] : [attribute.replaceAll(".", "_")])
}

const named = (expression: string): ReadonlyArray<string> =>
  [...expression.matchAll(/\b(\w+)\{/g)].map(([, name = ""]) => name)

describe("the dashboard", () => {
  it("asks for no series that the daemon does not have", () => {
    for (const { expr } of expressions) {
      assert.isNotEmpty(named(expr), expr)
      for (const name of named(expr)) assert.isTrue(series.has(name), `${name} in ${expr}`)
    }
  })

  it("leaves no figure out", () => {
    const shown = new Set(expressions.flatMap(({ expr }) => named(expr)))
    for (const { name } of instruments) {
      const base = prometheusName(name).replaceAll(".", "_")
      assert.isTrue(shown.has(base) || shown.has(`${base}_bucket`), name)
    }
  })

  it("tells series apart by labels that they have", () => {
    for (const { expr, legendFormat } of expressions) {
      const labels = named(expr).flatMap((name) => series.get(name) ?? [])
      const used = [...expr.matchAll(/by \((\w+)\)/g), ...legendFormat.matchAll(/\{\{(\w+)\}\}/g)]
      for (const [, label = ""] of used) assert.include(labels, label, expr)
    }
  })

  it("takes its data source from a variable, and each panel has a title, a unit and what it means", () => {
    assert.strictEqual(dashboard.templating.list[0].type, "datasource")
    assert.strictEqual(new Set(panels.map(({ id }) => id)).size, panels.length)
    for (const { datasource, description, fieldConfig, title } of panels) {
      assert.strictEqual(datasource.uid, "${datasource}")
      assert.isTrue([title, description, fieldConfig.defaults.unit].every((text) => text.length > 0))
    }
  })
})
