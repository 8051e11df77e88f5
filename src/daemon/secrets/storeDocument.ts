/**
 * The plain text of secrets.age: its format, decoded and encoded.
 *
 * The format is the predecessor's to the letter (protocol specification, 9.2), so that
 * each program reads the other's files. Unknown members are kept and written back. A
 * newer version is rejected. No message quotes the text, because it contains values.
 */
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { stringify } from "../../domain/goText.ts"
import type { Secret } from "../../domain/Secret.ts"
import { parseTimestamp as parseTime, type Timestamp, zeroTimestamp } from "../../domain/Timestamp.ts"

export interface StoredSecret extends Secret {
  /** Unknown members, of other programs. */
  readonly foreign: Readonly<Record<string, unknown>>
}

export interface StoreDocument {
  readonly secrets: ReadonlyMap<string, StoredSecret>
  readonly foreign: Readonly<Record<string, unknown>>
}

export const emptyStore: StoreDocument = { secrets: new Map(), foreign: {} }

const knownVersion = 1

/** Decodes the text; the failure states what is wrong and where. */
export const decodeStore = (text: string): Result.Result<StoreDocument, string> => {
  const parsed = Result.try({ try: (): unknown => JSON.parse(text), catch: () => "its contents are not JSON" })
  return Result.flatMap(parsed, (root) => {
    if (!Predicate.isReadonlyObject(root)) return Result.fail("its contents are not a JSON object")
    const { version, secrets, ...foreign } = root
    if (typeof (version ?? 0) !== "number" || Number(version ?? 0) > knownVersion) {
      return Result.fail(`its version is ${JSON.stringify(version)} and this program reads version ${knownVersion}`)
    }
    if (secrets === null || secrets === undefined) return Result.succeed({ secrets: new Map(), foreign })
    if (!Predicate.isReadonlyObject(secrets)) return Result.fail("its member secrets is not an object")

    const decoded = new Map<string, StoredSecret>()
    for (const [name, entry] of Object.entries(secrets)) {
      const secret = decodeSecret(name, entry)
      if (Result.isFailure(secret)) return Result.fail(secret.failure)
      decoded.set(name, secret.success)
    }
    return Result.succeed({ secrets: decoded, foreign })
  })
}

const decodeSecret = (key: string, entry: unknown): Result.Result<StoredSecret, string> => {
  const invalid = (what: string) => Result.fail(`the secret ${JSON.stringify(key)} ${what}`)
  if (!Predicate.isReadonlyObject(entry)) return invalid("is not an object")
  const { name: _, value, created_at, updated_at, rotate_via, rotate_stdout, last_rotated, ...others } = entry
  const rotateVia = rotate_via ?? ""
  if (typeof value !== "string") return invalid("has no value")
  if (typeof rotateVia !== "string") return invalid("has a rotate_via that is not text")
  const createdAt = decodeTime(created_at)
  const updatedAt = decodeTime(updated_at)
  const lastRotated = decodeTime(last_rotated)
  if (createdAt === undefined || updatedAt === undefined || lastRotated === undefined) {
    return invalid("has a time that is not RFC 3339")
  }
  return Result.succeed({
    name: key,
    value: Redacted.make(value),
    createdAt,
    updatedAt,
    rotateVia,
    rotateStdout: rotate_stdout === true,
    lastRotated,
    ...withOwnMembers(others)
  })
}

/** Takes ours out of the unknown members. One of another type is another program's. */
const withOwnMembers = ({ description, proxy_only, ...others }: Readonly<Record<string, unknown>>) => ({
  description: typeof description === "string" ? description : "",
  ...(proxy_only === true && { proxyOnly: true }),
  foreign: {
    ...others,
    ...(description !== undefined && typeof description !== "string" && { description }),
    ...(proxy_only !== undefined && proxy_only !== true && { proxy_only })
  }
})

const decodeTime = (value: unknown): Timestamp | undefined => {
  if (value === undefined || value === null) return zeroTimestamp
  return typeof value === "string" ? Option.getOrUndefined(parseTime(value)) : undefined
}

/** Encodes the text: secrets in byte order of their names, two spaces of indentation, no final line feed. */
export const encodeStore = (document: StoreDocument): string => {
  // Not through an object, which would put integer names first.
  const secrets = [...document.secrets.values()].toSorted(byName).map(textOf)
  const members = [
    member(2, "version", knownVersion),
    `  "secrets": ${secrets.length === 0 ? "{}" : `{\n${secrets.join(",\n")}\n  }`}`,
    ...Object.entries(document.foreign).map(([name, value]) => member(2, name, value))
  ]
  return `{\n${members.join(",\n")}\n}`
}

/** Returns the text of a secret in the store, which is made once: a change always makes a new object. */
export const textOf = (secret: StoredSecret): string => {
  const text = texts.get(secret) ?? member(4, secret.name, encodeSecret(secret))
  texts.set(secret, text)
  return text
}

const texts = new WeakMap<StoredSecret, string>()

const encodeSecret = (secret: StoredSecret) => ({
  name: secret.name,
  created_at: secret.createdAt.text,
  updated_at: secret.updatedAt.text,
  rotate_via: secret.rotateVia === "" ? undefined : secret.rotateVia,
  last_rotated: secret.lastRotated.text,
  value: Redacted.value(secret.value),
  rotate_stdout: secret.rotateStdout ? true : undefined,
  ...secret.foreign,
  ...(secret.description === "" ? {} : { description: secret.description }),
  ...(secret.proxyOnly === true && { proxy_only: true })
})

const member = (indent: number, name: string, value: unknown): string => {
  const margin = " ".repeat(indent)
  return `${margin}${stringify(name)}: ${stringify(value, 2).replaceAll("\n", `\n${margin}`)}`
}

/** Compares as Go sorts map keys in JSON: by UTF-8 bytes. */
export const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  Buffer.compare(Buffer.from(a.name, "utf8"), Buffer.from(b.name, "utf8"))
