/**
 * The form of a value: what it looks like, until when it is valid, how long it is and how it
 * ends. It is recognized in the daemon, so that the value stays there.
 *
 * A form is a guess from the outside, never a check: a revoked token looks like a token. No
 * member holds any part of the value.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { X509Certificate } from "node:crypto"
import { tokenOf } from "./secretPatterns.ts"
import { fromMillis, type Timestamp } from "./Timestamp.ts"

export interface ValueForm {
  readonly kind: "token" | "key" | "certificate" | "json" | "url" | "text"
  /** The kind in words, such as `GitHub token`. */
  readonly what: string
  /** When a certificate or a token says that it expires. */
  readonly validUntil: Timestamp | undefined
  /** In bytes of UTF-8. */
  readonly length: number
  readonly lines: number
  /** The white space at the end, which is easily missed. */
  readonly ending: "none" | "line feed" | "carriage return" | "blank"
}

type Recognized = Pick<ValueForm, "kind" | "what"> & { readonly validUntil?: Timestamp | undefined }

/** The first that recognizes the text names it. */
const recognizers: ReadonlyArray<(text: string) => Recognized | undefined> = [
  (text) => ofPem(text),
  (text) => ofToken(text),
  (text) => ofJson(text),
  matching(/^(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-\S+|sk-\S+@openssh\.com) [A-Za-z0-9+/=]{32,}/, "key", "SSH public key"),
  matching(/^age1[0-9a-z]{58}$/, "key", "age recipient"),
  matching(/^[a-z][a-z0-9+.-]*:\/\/[^\s/@]*:[^\s/@]+@\S+$/i, "url", "address with a password"),
  matching(/^[a-z][a-z0-9+.-]*:\/\/\S+$/i, "url", "address"),
  matching(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, "token", "UUID"),
  (text) =>
    /^(?:[0-9a-f]{2}){16,}$/i.test(text) ? { kind: "key", what: `${text.length * 4} bits in hex` } : undefined,
  (text) =>
    /^[A-Za-z0-9_+/=.~-]{20,}$/.test(text) && /[0-9]/.test(text) && /[A-Za-z]/.test(text)
      ? { kind: "token", what: "token of an unknown issuer" }
      : undefined
]

export const formOf = (value: string): ValueForm => {
  const text = value.trim()
  const fallback: Recognized = { kind: "text", what: text === "" ? "white space" : "text" }
  const found = recognizers.values().map((recognize) => recognize(text))
  const { kind, validUntil, what } = found.find((form) => form !== undefined) ?? fallback
  return {
    kind,
    what,
    validUntil,
    length: Buffer.byteLength(value),
    lines: value.replace(/\n$/, "").split("\n").length,
    ending: endings.find(([end]) => end.test(value))?.[1] ?? "none"
  }
}

const endings = [
  [/\r\n?$/, "carriage return"],
  [/\n$/, "line feed"],
  [/\s$/, "blank"]
] as const

function matching(expression: RegExp, kind: ValueForm["kind"], what: string) {
  return (text: string) => (text.length <= maxTokenLength && expression.test(text) ? { kind, what } : undefined)
}

/** No token is longer; the expressions are not tried on whole files. */
const maxTokenLength = 16 * 1024

const ofToken = (text: string): Recognized | undefined => {
  const what = text.length > maxTokenLength ? undefined : tokenOf(text)
  if (what === undefined) return undefined
  return { kind: what.endsWith("identity") ? "key" : "token", what, validUntil: expiryOfJwt(text) }
}

/** Reads `exp`, in seconds; undefined for any other token. */
const expiryOfJwt = (text: string): Timestamp | undefined => {
  if (!text.startsWith("eyJ")) return undefined
  const claims = parsed(Buffer.from(text.split(".")[1] ?? "", "base64url").toString("utf8"))
  const expiry = Predicate.isReadonlyObject(claims) ? claims["exp"] : undefined
  return typeof expiry === "number" && expiry > 0 && expiry < maxSeconds
    ? fromMillis(Math.floor(expiry) * 1000)
    : undefined
}

/** The end of the year 9999, the last that RFC 3339 can write. */
const maxSeconds = 253_402_300_799

const ofJson = (text: string): Recognized | undefined => {
  if (!/^[{[]/.test(text)) return undefined
  const value = parsed(text)
  if (Array.isArray(value)) return { kind: "json", what: "JSON array" }
  if (!Predicate.isReadonlyObject(value)) return undefined
  return { kind: "json", what: value["type"] === "service_account" ? "JSON, key of a service account" : "JSON object" }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Names the blocks of a PEM text by their labels, with the end of the first certificate. */
const ofPem = (text: string): Recognized | undefined => {
  const labels = Array.from(text.matchAll(/^-----BEGIN ([A-Z0-9 ]{1,40})-----[ \t\r]*$/gm), ([, label = ""]) => label)
  const [first] = labels
  if (first === undefined || !text.startsWith("-----BEGIN ")) return undefined
  const privateKey = labels.find((label) => label.includes("PRIVATE KEY"))
  const certificates = labels.filter((label) => label === "CERTIFICATE").length
  if (certificates > 0) {
    const what = certificates > 1 ? `${certificates} certificates` : "certificate"
    return {
      kind: "certificate",
      what: `${what}${privateKey === undefined ? "" : " and private key"} (PEM)`,
      validUntil: expiryOfCertificate(text)
    }
  }
  if (privateKey !== undefined) return { kind: "key", what: keyNames.get(privateKey) ?? "private key (PEM)" }
  return { kind: first.includes("KEY") ? "key" : "text", what: `${first.toLowerCase()} (PEM)` }
}

const keyNames: ReadonlyMap<string, string> = new Map([
  ["OPENSSH PRIVATE KEY", "SSH private key"],
  ["PGP PRIVATE KEY BLOCK", "PGP private key"],
  ["ENCRYPTED PRIVATE KEY", "private key with a passphrase (PEM)"],
  ["RSA PRIVATE KEY", "RSA private key (PEM)"],
  ["EC PRIVATE KEY", "EC private key (PEM)"]
])

const expiryOfCertificate = (text: string): Timestamp | undefined => {
  const [block] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(text) ?? []
  if (block === undefined) return undefined
  try {
    const end = DateTime.make(new X509Certificate(block).validTo)
    return Option.getOrUndefined(Option.map(end, (time) => fromMillis(DateTime.toEpochMillis(time))))
  } catch {
    return undefined
  }
}
