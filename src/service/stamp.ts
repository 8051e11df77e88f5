/**
 * The mark in a file that we rendered: what it was rendered from, and a hash of the
 * rest, by which an edit shows. A file without it is somebody else's.
 *
 * It is one line, a comment in the language of the file. The hash keeps nobody from
 * anything; it only tells a file that may be replaced from one that a person cared for.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** What was chosen on the command line, so that the same file can be rendered again. */
export const ServiceChoices = Schema.Struct({
  program: Schema.String,
  config: Schema.optionalKey(Schema.String),
  socket: Schema.optionalKey(Schema.String),
  user: Schema.optionalKey(Schema.String),
  group: Schema.optionalKey(Schema.String),
  socketActivation: Schema.optionalKey(Schema.Boolean)
})
export type ServiceChoices = typeof ServiceChoices.Type

export interface StampedFile {
  readonly choices: ServiceChoices
  /** Whether the file is no longer what we wrote. */
  readonly edited: boolean
}

/** Puts the mark in: below the document type of a property list, and else at the top. */
export const stamp = (text: string, choices: ServiceChoices): string => {
  const lines = text.split("\n")
  const xml = text.startsWith("<?xml")
  // Two dashes may not stand in a comment of XML.
  const chosen = JSON.stringify(choices).replaceAll("-", String.raw`\u002d`)
  const mark = `rendered by agent-secrets from ${chosen}, sha256 ${hash(text)}`
  return lines.toSpliced(xml ? 2 : 0, 0, xml ? `<!-- ${mark} -->` : `# ${mark}`).join("\n")
}

/** Reads the mark; undefined if there is none. */
export const readStamp = (text: string): StampedFile | undefined => {
  const lines = text.split("\n")
  const at = lines.findIndex((line) => pattern.test(line))
  const [, chosen = "", hashed] = pattern.exec(lines[at] ?? "") ?? []
  const choices = decodeChoices(chosen)
  if (Option.isNone(choices)) return undefined
  return { choices: choices.value, edited: hash(lines.toSpliced(at, 1).join("\n")) !== hashed }
}

const pattern = /^(?:#|<!--) rendered by agent-secrets from (\{.*\}), sha256 ([0-9a-f]{64})(?: -->)?$/

const decodeChoices = Schema.decodeUnknownOption(Schema.fromJsonString(ServiceChoices))

/** Node's module is loaded here, for most of what asks finds no mark, and it takes its time. */
const hash = (text: string): string =>
  process.getBuiltinModule("node:crypto").createHash("sha256").update(text).digest("hex")
