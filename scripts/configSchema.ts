/**
 * Writes the JSON Schema of config.json and the tables in docs/settings.md: the settings from
 * the definition that the daemon decodes the file with, the roles from the table of methods.
 *
 *     node scripts/configSchema.ts
 */
import * as Schema from "effect/Schema"
import { fileURLToPath } from "node:url"
import { roles } from "../src/domain/Caller.ts"
import { ConfigFile, settings } from "../src/domain/Config.ts"
import { methods, type MethodSpec } from "../src/rpc/protocol/methods.ts"

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

const rolesTable = (): string =>
  [
    `| method | ${roles.join(" | ")} |`,
    `|---|${roles.map(() => ":-:|").join("")}`,
    ...Object.entries<MethodSpec>(methods).map(([name, spec]) => {
      const cells = roles.map((role) => (role === "owner" || spec.roles.includes(role) ? "yes" : ""))
      const without = spec.ownerParams?.map((param) => `\`${param}\``).join(", ")
      return `| \`${name}\`${without === undefined ? "" : `; ${without}: owner only`} | ${cells.join(" | ")} |`
    })
  ].join("\n")

/** Replaces the table between two comments. */
const renew = (text: string, name: string, table: string): string => {
  const [begins, ends] = [`<!-- ${name}, made by npm run docs -->`, `<!-- end of ${name} -->`]
  const [before = ""] = text.split(begins)
  const [, after = ""] = text.split(ends)
  return `${before}${begins}\n\n${table}\n\n${ends}${after}`
}

/** Replaces the tables in a text. */
export const renewed = (text: string): string => renew(renew(text, "settings", settingsTable()), "roles", rolesTable())
