/**
 * Generates the JSON Schema of `.secrets.json` for editors.
 */
import * as Schema from "effect/Schema"
import { fileURLToPath } from "node:url"
import { ProjectFile } from "../src/domain/ProjectFile.ts"

export const schemaFile = fileURLToPath(new URL("../docs/secrets.schema.json", import.meta.url))

export const projectSchema = (): string => {
  const { definitions, schema } = Schema.toJsonSchemaDocument(ProjectFile, { onExcessProperty: "error" })
  const document = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: ".secrets.json of agent-secrets",
    ...schema,
    ...(Object.keys(definitions).length === 0 ? {} : { $defs: definitions })
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}
