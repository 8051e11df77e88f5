/**
 * References to secrets in texts: `secret://NAME`, or `secret://NAME#member` for a member of a value
 * that is JSON. In a template they stand in braces: `{{ secret://NAME }}`. Everything else in it stays,
 * also the references of other programs.
 */

export interface SecretReference {
  readonly secret: string
  readonly member?: string | undefined
  /** Where it is in a template. */
  readonly line?: number
}

const pattern = String.raw`secret://([^\s{}#]+)(?:#([^\s{}#]+))?`

/** Reads a text that is a reference and nothing else. */
export const parseReference = (text: string): SecretReference | undefined => {
  const [, secret, member] = new RegExp(`^${pattern}$`, "u").exec(text) ?? []
  return secret === undefined ? undefined : { secret, member }
}

/** A template in parts: text, and references. */
export interface SecretTemplate {
  readonly parts: ReadonlyArray<string | SecretReference>
  /** The lines of what begins like a reference and is none. */
  readonly malformed: ReadonlyArray<number>
}

export const parseTemplate = (text: string): SecretTemplate => {
  const parts: Array<string | SecretReference> = []
  const malformed: Array<number> = []
  let [at, line, counted] = [0, 1, 0]
  for (const { index } of text.matchAll(/\{\{[ \t]*secret:\/\//gu)) {
    const whole = new RegExp(String.raw`\{\{[ \t]*${pattern}[ \t]*\}\}`, "uy")
    whole.lastIndex = index
    const [all, secret, member] = whole.exec(text) ?? []
    line += text.slice(counted, index).split("\n").length - 1
    counted = index
    if (all === undefined || secret === undefined) {
      malformed.push(line)
      continue
    }
    parts.push(text.slice(at, index), { secret, member, line })
    at = index + all.length
  }
  return { parts: [...parts, text.slice(at)].filter((part) => part !== ""), malformed }
}

/** Formats a reference as it is written. */
export const referenceText = ({ member, secret }: SecretReference): string =>
  `secret://${secret}${member === undefined ? "" : `#${member}`}`

/** Returns why a value has not a member that was referred to. */
export const withoutMember = (value: string): string =>
  isObject(value) ? "the value is JSON without that member as text, number or boolean" : "the value is no JSON object"

const isObject = (value: string): boolean => {
  try {
    const parsed: unknown = JSON.parse(value)
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)
  } catch {
    return false
  }
}

/** Returns a member of a value that is JSON, as it is written there: a text, a number or a boolean; undefined if there is none. */
export const memberOf = (value: string, member: string): string | undefined => {
  try {
    const parsed: unknown = JSON.parse(value, asWritten)
    if (typeof parsed !== "object" || parsed === null || !Object.hasOwn(parsed, member)) return undefined
    const found: unknown = Reflect.get(parsed, member)
    return typeof found === "string" ? found : undefined
  } catch {
    return undefined
  }
}

/** Keeps the digits of a number: a long one, such as the id of an account, would be rounded. */
const asWritten = (_: string, value: unknown, context?: { readonly source?: string }): unknown =>
  typeof value === "number" || typeof value === "boolean" ? (context?.source ?? String(value)) : value

/** Returns what a reference stands for; undefined if the value has no such member. */
export const referredValue = ({ member }: Pick<SecretReference, "member">, value: string): string | undefined =>
  member === undefined ? value : memberOf(value, member)
