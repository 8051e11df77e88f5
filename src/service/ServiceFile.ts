/**
 * A file of the service: its text, and the stamp by which this command recognizes it.
 *
 * The stamp is one comment line with the choices that the file was rendered from and a
 * hash of the rest. It detects edits by a person; it is no protection against tampering.
 */
import * as Effect from "effect/Effect"
import type { FileError } from "../daemon/files/durableFile.ts"
import { readIfPresent } from "../daemon/files/durableFile.ts"
import { parseJsonFile } from "../domain/jsonFile.ts"
import { matchesShape, optional } from "../domain/shape.ts"

export interface ServiceFile {
  readonly path: string
  readonly text: string
}

/** A path of the service as it is on disk; `text` is undefined where there is no file. */
export interface InstalledFile {
  readonly path: string
  readonly text: string | undefined
}

/** What the command line chose, so that the same file can be rendered again. */
export interface ServiceChoices {
  readonly program: string
  readonly config?: string | undefined
  readonly socket?: string | undefined
  readonly user?: string | undefined
  readonly group?: string | undefined
  readonly socketActivation?: boolean | undefined
}

/** As what they are read, by an example: a schema library would take a tenth of the time of `daemon status` to load. */
const choicesExample = {
  program: "",
  config: optional(""),
  socket: optional(""),
  user: optional(""),
  group: optional(""),
  socketActivation: optional(false)
}

export const readServiceFiles = (
  paths: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<InstalledFile>, FileError> =>
  Effect.forEach(paths, (path) =>
    Effect.map(readIfPresent(path), (contents): InstalledFile => ({ path, text: contents?.toString("utf8") }))
  )

/** Returns whether the supervisor of the installed service keeps its socket. */
export const hasSocket = (installed: ReadonlyArray<InstalledFile>): boolean =>
  installed.slice(1).some(({ text }) => text !== undefined)

/** Inserts the stamp: below the document type of a property list, otherwise as the first line. */
export const stamp = (text: string, choices: ServiceChoices): string => {
  const lines = text.split("\n")
  const xml = text.startsWith("<?xml")
  // An XML comment must not contain two dashes.
  const chosen = JSON.stringify(choices).replaceAll("-", String.raw`\u002d`)
  const line = `rendered by agent-secrets from ${chosen}, sha256 ${hash(text)}`
  return lines.toSpliced(xml ? 2 : 0, 0, xml ? `<!-- ${line} -->` : `# ${line}`).join("\n")
}

/** Returns the choices, and whether the text no longer matches its hash; undefined for a text without a stamp. */
export const readStamp = (text: string) => {
  const lines = text.split("\n")
  const at = lines.findIndex((line) => pattern.test(line))
  const [, chosen = "", hashed] = pattern.exec(lines[at] ?? "") ?? []
  const choices = readChoices(chosen)
  if (choices === undefined) return undefined
  return { choices, edited: hash(lines.toSpliced(at, 1).join("\n")) !== hashed }
}

const pattern = /^(?:#|<!--) rendered by agent-secrets from (\{.*\}), sha256 ([0-9a-f]{64})(?: -->)?$/

const readChoices = (text: string): ServiceChoices | undefined => {
  const parsed = parseJsonFile(text)
  return "value" in parsed && matchesShape(parsed.value, choicesExample) ? parsed.value : undefined
}

/** Loads node:crypto on use. It is slow, and without a service there is nothing to hash. */
const hash = (text: string): string => process.getBuiltinModule("node:crypto").hash("sha256", text)
