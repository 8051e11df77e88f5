/**
 * Writes the JSON Schema of config.json and the table in docs/settings.md, both from the
 * definition that the daemon decodes the file with.
 *
 *     node scripts/configSchema.ts
 */
import * as Schema from "effect/Schema"
import { fileURLToPath } from "node:url"
import { ConfigFile, settings } from "../src/domain/Config.ts"

export const schemaFile = fileURLToPath(new URL("../docs/config.schema.json", import.meta.url))
export const document = fileURLToPath(new URL("../docs/settings.md", import.meta.url))

export const configSchema = () => ({
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "config.json of agent-secrets",
  description:
    'The settings of the daemon and of the command. Paths are absolute or begin with ~/. Durations are texts such as "1h30m", or whole numbers of nanoseconds. Other keys are allowed.',
  ...Schema.toJsonSchemaDocument(ConfigFile, { includeAnnotationKey: (key) => key === "allOf" }).schema,
  allOf: Schema.resolveAnnotations(ConfigFile)?.["allOf"]
})

export const schemaText = (): string => `${JSON.stringify(configSchema(), undefined, 2)}\n`

const settingsTable = (): string =>
  [
    "| key | what it is | default |",
    "|---|---|---|",
    ...settings().map(({ default: value, description, name }) => {
      const written = value === undefined ? "–" : `\`${JSON.stringify(value)}\``
      return `| \`${name}\` | ${description} | ${written} |`
    })
  ].join("\n")

const begins = "<!-- settings, made by npm run docs -->"
const ends = "<!-- end of settings -->"

/** Replaces the table in a text. */
export const renewed = (text: string): string => {
  const [before = ""] = text.split(begins)
  const [, after = ""] = text.split(ends)
  return `${before}${begins}\n\n${settingsTable()}\n\n${ends}${after}`
}
