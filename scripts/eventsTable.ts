/**
 * Generates the tables of docs/events.md from the definitions in src/otel, and from the dashboard.
 */
import * as SchemaAST from "effect/SchemaAST"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { instruments } from "../src/otel/metrics.ts"
import { events } from "../src/otel/OtelEvent.ts"

export const document = fileURLToPath(new URL("../docs/events.md", import.meta.url))

const typeOf = (ast: SchemaAST.AST): string => {
  if (SchemaAST.isString(ast)) return "string"
  if (SchemaAST.isBoolean(ast)) return "boolean"
  if (SchemaAST.isArrays(ast)) return "strings"
  if (SchemaAST.isUnion(ast)) return typeOf(ast.types.filter((one) => !SchemaAST.isUndefined(one))[0] ?? ast)
  return "number"
}

const descriptionOf = (ast: SchemaAST.AST): string => {
  const own = ast.annotations?.["description"]
  if (typeof own === "string") return own
  return SchemaAST.isUnion(ast) ? (ast.types.map(descriptionOf).find((text) => text !== "") ?? "") : checksOf(ast)
}

/** Returns the description of a schema with a check, which Effect stores in the check. */
const checksOf = (ast: SchemaAST.AST): string => {
  const described = ast.checks
    ?.map(({ annotations }) => annotations?.["description"])
    .find((text) => typeof text === "string")
  return typeof described === "string" ? described : ""
}

export const tables = (): string => {
  const rows = Object.values(events)
  const overview = rows.map(({ action, level, summary }) => `| \`${action}\` | ${level} | ${summary} |`)
  const each = rows.flatMap(({ action, metadata }) => {
    const fields = Object.entries<{ readonly ast: SchemaAST.AST }>(metadata.fields)
    if (fields.length === 0) return []
    return [
      "",
      `### ${action}`,
      "",
      "| attribute | type | description |",
      "|---|---|---|",
      ...fields.map(([name, { ast }]) => `| \`${name}\` | ${typeOf(ast)} | ${descriptionOf(ast)} |`)
    ]
  })
  return ["| event | level | when |", "|---|---|---|", ...overview, ...each].join("\n")
}

export const metricsTable = (): string =>
  [
    "| metric | kind | unit | attribute | description |",
    "|---|---|---|---|---|",
    ...instruments.map(
      ({ attribute, description, kind, name, unit }) =>
        `| \`${name}\` | ${kind} | \`${unit}\` | ${attribute === undefined ? "" : `\`${attribute}\``} | ${description} |`
    )
  ].join("\n")

interface Panel {
  readonly title: string
  readonly description: string
}

const panelsTable = (): string => {
  const file = new URL("../docs/dashboard.json", import.meta.url)
  const { panels }: { readonly panels: ReadonlyArray<Panel> } = JSON.parse(readFileSync(file, "utf8"))
  const rows = panels.map(({ description, title }) => `| ${title} | ${description} |`)
  return ["| panel | shows |", "|---|---|", ...rows].join("\n")
}

const blocks = [
  ["panels", panelsTable],
  ["events", tables],
  ["metrics", metricsTable]
] as const

/** Returns the document with current tables. */
export const renewed = (text: string): string =>
  blocks.reduce((document, [name, made]) => {
    const begins = `<!-- ${name}, made by npm run docs -->`
    const ends = `<!-- end of ${name} -->`
    const [before = ""] = document.split(begins)
    const [, after = ""] = document.split(ends)
    return `${before}${begins}\n\n${made()}\n\n${ends}${after}`
  }, text)
