/**
 * The JSON Schema of config.json and the table in docs/settings.md, made from the
 * settings in src/domain, so that they cannot say anything else.
 *
 *     node scripts/configSchema.ts    writes both anew
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { rules, settings } from "../src/domain/Config.ts"
import type { Form, Setting } from "../src/domain/Setting.ts"

export const schemaFile = fileURLToPath(new URL("../docs/config.schema.json", import.meta.url))
export const document = fileURLToPath(new URL("../docs/settings.md", import.meta.url))

/** What holds without it, where that is no value but a file in the state directory. */
const fileOf = (setting: Setting<unknown>): string | undefined =>
  "file" in setting && typeof setting.file === "string" ? setting.file : undefined

/** What is null counts as absent. */
const orNull = ({ enum: values, type, ...rest }: Form): Form =>
  Array.isArray(values) ? { enum: [...values, null] } : { type: [type, "null"].flat(), ...rest }

const propertyOf = (setting: Setting<unknown>): Form => {
  const file = fileOf(setting)
  const properties = propertiesIn(`${setting.name}.`)
  return {
    description:
      file === undefined ? setting.description : `${setting.description}; ${file} in the directory if not set`,
    ...(setting.written === undefined ? {} : { default: setting.written }),
    ...orNull(setting.form),
    ...(Object.keys(properties).length === 0 ? {} : { properties })
  }
}

/** The settings of a section, by their keys; `above` is its name and a dot. */
const propertiesIn = (above: string): Readonly<Record<string, Form>> =>
  Object.fromEntries(
    settings
      .filter(({ name }) => name.startsWith(above) && !name.slice(above.length).includes("."))
      .map((setting) => [setting.name.slice(above.length), propertyOf(setting)])
  )

export const configSchema = (): Form => ({
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "config.json of agent-secrets",
  description:
    'The settings of the daemon and of the command. Paths are absolute or begin with ~/. Durations are texts such as "1h30m", or whole numbers of nanoseconds. Keys that are not here are left to whoever reads them.',
  type: "object",
  properties: {
    $schema: { description: "for editors: where the schema of this file is", type: "string" },
    ...propertiesIn("")
  },
  ...rules
})

export const schemaText = (): string => `${JSON.stringify(configSchema(), undefined, 2)}\n`

export const settingsTable = (): string =>
  [
    "| key | what it is | without it |",
    "|---|---|---|",
    ...settings.map((setting) => {
      const file = fileOf(setting)
      const written = setting.written === undefined ? "–" : `\`${JSON.stringify(setting.written)}\``
      return `| \`${setting.name}\` | ${setting.description} | ${file === undefined ? written : `\`${file}\` in the directory`} |`
    })
  ].join("\n")

const begins = "<!-- settings, made by npm run docs -->"
const ends = "<!-- end of settings -->"

/** The text with the table as it is now. */
export const renewed = (text: string): string => {
  const [before = ""] = text.split(begins)
  const [, after = ""] = text.split(ends)
  return `${before}${begins}\n\n${settingsTable()}\n\n${ends}${after}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(schemaFile, schemaText())
  writeFileSync(document, renewed(readFileSync(document, "utf8")))
}
