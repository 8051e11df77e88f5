/**
 * The headers of a request and of an answer, rebuilt: those of one connection stay on it, and what
 * would name another method, another path or another place is left out or points to the proxy.
 */
import { type Upstream, upstreamText } from "../domain/ProxyRoute.ts"
import type { OpenRoute } from "../domain/proxyMessages.ts"
import { headerKey, injectedHeader, isCredentialHeader, pairsOf, type RawHeaders } from "./slots.ts"

/** Those of one connection. */
const hopByHop: ReadonlySet<string> = new Set(
  "connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade http2-settings".split(
    " "
  )
)

/** With these a server takes a request for another one than its first line says. */
const overrides: ReadonlySet<string> = new Set(
  "x-http-method-override x-http-method x-method-override x-original-method x-original-url x-rewrite-url x-override-url".split(
    " "
  )
)

/** Returns what the headers `Connection` name, in lower case. */
const namedByConnection = (pairs: ReturnType<typeof pairsOf>): ReadonlySet<string> =>
  new Set(
    pairs
      .filter(([name]) => name.toLowerCase() === "connection")
      .flatMap(([, value]) => value.toLowerCase().split(","))
      .map((name) => name.trim())
  )

/** Returns the values of a header. */
export const valuesOf = (raw: RawHeaders, header: string): ReadonlyArray<string> =>
  pairsOf(raw).flatMap(([name, value]) => (name.toLowerCase() === header ? [value] : []))

/** Returns the headers that go to the upstream, name and value in turns. */
export const requestHeaders = (raw: RawHeaders, route: OpenRoute, value: string): Array<string> => {
  const pairs = pairsOf(raw)
  const dropped = namedByConnection(pairs)
  const headers: Array<string> = []
  for (const [name, text] of pairs) {
    const key = name.toLowerCase()
    if (hopByHop.has(key) || dropped.has(key) || overrides.has(headerKey(key))) continue
    if (key === "host" || key === "expect" || (route.mask && key === "accept-encoding")) continue
    if (isCredentialHeader(key, route)) continue
    headers.push(name, text)
  }
  if (route.mask) headers.push("accept-encoding", acceptsGzip(raw) ? "gzip" : "identity")
  const injected = injectedHeader(route, value)
  if (injected !== undefined) headers.push(...injected)
  return headers
}

/** Returns whether an answer may be compressed. A part of a compressed answer cannot be read. */
const acceptsGzip = (raw: RawHeaders): boolean =>
  valuesOf(raw, "range").length === 0 &&
  valuesOf(raw, "accept-encoding").some((value) =>
    value.split(",").some((coding) => /^\s*(gzip|\*)\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(coding))
  )

/** Returns whether a header of an answer is not sent on: promises of other places, and CORS. */
const isWithheld = (key: string): boolean =>
  hopByHop.has(key) || key === "alt-svc" || key === "x-secrets-proxy" || key.startsWith("access-control-")

/** What is no longer true of an answer that was decoded. */
const ofEncoding: ReadonlySet<string> = new Set(
  "content-encoding content-length etag content-md5 digest content-digest repr-digest".split(" ")
)

/** Headers that name a place. */
const places: ReadonlySet<string> = new Set(["location", "content-location", "link"])

export interface AnswerHeaderOptions {
  readonly isDecoded: boolean
  /** Returns where a client finds a place that the upstream names. */
  readonly relocated: (place: string) => string
}

/** Returns the headers that go to the client, name and value in turns. */
export const answerHeaders = (raw: RawHeaders, { isDecoded, relocated }: AnswerHeaderOptions): Array<string> => {
  const pairs = pairsOf(raw)
  const dropped = namedByConnection(pairs)
  return pairs.flatMap(([name, value]) => {
    const key = name.toLowerCase()
    if (isWithheld(key) || dropped.has(key) || (isDecoded && ofEncoding.has(key))) return []
    if (!places.has(key)) return [name, value]
    return [
      name,
      key === "link" ? value.replaceAll(/<([^<>]*)>/g, (_, place) => `<${relocated(place)}>`) : relocated(value)
    ]
  })
}

/** Makes a function that turns places of an upstream into those below a base URL; others stay as they are. */
export const makeRelocated = (upstream: Upstream, target: string, baseUrl: string | undefined) => {
  const asked = upstreamText({ ...upstream, path: "" }) + target
  return (place: string): string => {
    if (baseUrl === undefined || !URL.canParse(place, asked)) return place
    const { hash, origin, pathname, search } = new URL(place, asked)
    const isOwn = origin === new URL(asked).origin && (pathname + "/").startsWith(`${upstream.path}/`)
    return isOwn ? baseUrl + pathname.slice(upstream.path.length) + search + hash : place
  }
}
