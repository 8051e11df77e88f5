/**
 * What a person is asked or told about a request by a program: one short line, without
 * control characters. It begins with a word of ours, so that no name is taken for an option.
 */
import { escapeValue } from "./escape.ts"
import { durationText } from "./GoDuration.ts"
import { type OpenRequest, spanOf, spanText } from "./OpenRequest.ts"

/** The longest text, in bytes. */
const textLimit = 400
/** The longest name in it, in characters. */
const nameLimit = 60

/** Returns the question of an approval. */
export const questionText = (request: OpenRequest): string => {
  const { approval, clientId, id, program, reason, secretName, ttl, via } = request
  const parts = [
    `Approve ${shown(secretName)} for ${shown(clientId)}`,
    via === undefined ? "" : ` via ${shown(via)}`,
    program === undefined ? "" : ` (${shown(program)})`,
    ttl === undefined ? "" : `, TTL ${durationText(ttl)}`,
    `, ${spanText(spanOf(approval))}?`,
    ` Request ${id}.`,
    reason === undefined ? "" : ` It says: ${escapeValue(reason)}`
  ]
  return cut(parts.join(""))
}

/** Returns what a notification says of a new request. */
export const noticeText = ({ clientId, id, kind, secretName }: OpenRequest): string =>
  cut(
    kind === "missing"
      ? `Missing: ${shown(clientId)} asks for ${shown(secretName)}. Store it: secrets add`
      : `Approval: ${shown(clientId)} asks for ${shown(secretName)}. Answer: secrets approve ${id}`
  )

/** Returns what a notification says of several. */
export const noticeOfMore = (count: number): string => `And ${count} more. See: secrets requests`

const shown = (name: string): string => {
  const characters = Array.from(escapeValue(name))
  return characters.length <= nameLimit ? characters.join("") : `${characters.slice(0, nameLimit).join("")}…`
}

/** Cuts at the last whole character that fits. */
const cut = (text: string): string => {
  const bytes = Buffer.from(text)
  return bytes.length <= textLimit
    ? text
    : bytes
        .subarray(0, textLimit)
        .toString("utf8")
        .replace(/\ufffd+$/, "")
}
