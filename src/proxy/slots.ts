/**
 * Where credentials stand in a request: the slots in which a placeholder counts, and the one slot that the
 * value is put into. A placeholder in another place is nothing, and no other credential is passed on.
 */
import type { OpenRoute } from "../domain/proxyMessages.ts"

/** A header list as Node has it: name and value in turns, as they were sent. */
export type RawHeaders = ReadonlyArray<string>

/** A text that may be a placeholder, and where it stands. */
export interface Candidate {
  readonly slot: "authorization" | "header" | "query"
  /** The name of the header or of the query parameter. */
  readonly name: string
  readonly text: string
}

/** Returns name and value of each header. */
export const pairsOf = (raw: RawHeaders): ReadonlyArray<readonly [name: string, value: string]> =>
  Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at] ?? "", raw[2 * at + 1] ?? ""])

/** Returns what a header is recognized by: some servers read an underscore as a hyphen. */
export const headerKey = (name: string): string => name.toLowerCase().replaceAll("_", "-")

/** Headers in which services take credentials, beside that of the route. */
const credentialHeaders: ReadonlySet<string> = new Set(
  (
    "authorization proxy-authorization x-authorization x-api-key api-key apikey x-apikey x-api-token x-goog-api-key " +
    "x-goog-iam-authorization-token x-auth-token x-auth-key x-access-token x-token access-token private-token job-token " +
    "deploy-token x-amz-security-token x-vault-token x-figma-token x-shopify-access-token xi-api-key x-gitlab-token " +
    "ocp-apim-subscription-key x-subscription-token x-client-secret x-stripe-client-secret dd-api-key dd-application-key " +
    "x-honeycomb-team x-consul-token x-rapidapi-key x-functions-key x-ms-authorization-auxiliary npm-auth npm-otp-token " +
    "circle-token x-jfrog-art-api x-nuget-apikey cf-access-client-secret"
  ).split(" ")
)

/** Returns whether a header carries a credential: one that services know, or that of the route. */
export const isCredentialHeader = (name: string, { inject }: Pick<OpenRoute, "inject">): boolean => {
  const key = headerKey(name)
  return credentialHeaders.has(key) || (inject.kind === "header" && key === headerKey(inject.name))
}

/** Returns the token in a text. */
export const tokenIn = (text: string): string | undefined => /asp_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/.exec(text)?.[0]

/** Returns all texts of a request that may be a placeholder. */
export const candidatesOf = (raw: RawHeaders, query: string): ReadonlyArray<Candidate> => {
  const found: Array<Candidate> = []
  for (const [name, value] of pairsOf(raw)) {
    const key = name.toLowerCase()
    if (key === "authorization") {
      for (const text of authorizationTexts(value)) found.push({ slot: "authorization", name: key, text })
    }
    if (value.includes("asp_")) found.push({ slot: "header", name: key, text: value })
  }
  if (query.includes("asp_")) {
    for (const [name, text] of new URLSearchParams(query)) found.push({ slot: "query", name, text })
  }
  return found
}

const authorizationTexts = (value: string): ReadonlyArray<string> => {
  const [, scheme = "", credentials = ""] = /^([A-Za-z]+) +(\S+) *$/.exec(value) ?? []
  switch (scheme.toLowerCase()) {
    case "bearer":
    case "token":
      return [credentials]
    case "basic":
      return basicCredentials(credentials)
    default:
      return []
  }
}

/** Returns user and password. */
export const basicCredentials = (base64: string): ReadonlyArray<string> => {
  const text = Buffer.from(base64, "base64").toString("latin1")
  const at = text.indexOf(":")
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

/** Returns whether a candidate is the placeholder of a route, in the slot of the route. */
export const isPlaceholder = ({ name, slot, text }: Candidate, token: string, route: OpenRoute): boolean => {
  const { inject, placeholder } = route
  const whole = placeholder + token
  switch (inject.kind) {
    case "header":
      // The SDK of Anthropic takes one variable for the key in its header, and another for a bearer token.
      return slot === "authorization" && (route.preset === "anthropic" || name === inject.name.toLowerCase())
        ? text === whole
        : slot === "header" &&
            name === inject.name.toLowerCase() &&
            (text === whole || text === formatted(inject.format, whole))
    case "query":
      return slot === "query" && name === inject.name && text === whole
    default:
      return slot === "authorization" && text === whole
  }
}

const formatted = (format: string, value: string): string => format.split("{}").join(value)

/** Returns a text whose characters are the bytes of its UTF-8, as headers are written. */
const headerText = (value: string): string => Buffer.from(value, "utf8").toString("latin1")

/** Returns the header that a route adds. */
export const injectedHeader = (
  { inject }: OpenRoute,
  value: string
): readonly [name: string, value: string] | undefined => {
  switch (inject.kind) {
    case "bearer":
      return ["authorization", `Bearer ${headerText(value)}`]
    case "basic":
      return ["authorization", `Basic ${Buffer.from(`${inject.user}:${value}`).toString("base64")}`]
    case "header":
      return [inject.name, formatted(inject.format, headerText(value))]
    case "query":
      return undefined
  }
}

/** Returns the query with the value in its parameter, which then stands there once. */
export const injectedQuery = ({ inject }: OpenRoute, query: string, value: string): string => {
  if (inject.kind !== "query") return query
  const others = query.split("&").filter((part) => part !== "" && parameterName(part) !== inject.name)
  return [...others, `${encodeURIComponent(inject.name)}=${encodeURIComponent(value)}`].join("&")
}

/** Returns the parameters of a query that are the route's own slot. */
export const slotParameters = ({ inject }: OpenRoute, query: string): ReadonlyArray<string> =>
  inject.kind === "query" ? new URLSearchParams(query).getAll(inject.name) : []

const parameterName = (part: string): string => new URLSearchParams(part).keys().next().value ?? ""
