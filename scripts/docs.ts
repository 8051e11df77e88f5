/**
 * `npm run docs` writes everything in the repository that is made from definitions in src.
 * Tests compare each file with what would be written.
 */
import { readFileSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as commands from "./commandsTable.ts"
import * as config from "./configSchema.ts"
import * as events from "./eventsTable.ts"
import { manualPage, manualText } from "./manual.ts"
import * as project from "./schemas.ts"
import { examples } from "./serviceExamples.ts"

const update = (file: string, text: (before: string) => string) => writeFileSync(file, text(readFileSync(file, "utf8")))

update(commands.readme, commands.renewed)
writeFileSync(commands.reference, commands.referenceText())
writeFileSync(manualPage, await manualText())
update(events.document, events.renewed)
writeFileSync(config.schemaFile, config.schemaText())
update(config.document, config.renewed)
writeFileSync(project.schemaFile, project.projectSchema())
for (const [file, text] of examples) writeFileSync(path.resolve(import.meta.dirname, "..", file), text)
