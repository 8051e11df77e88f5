/**
 * Which route a request is for, and whether it may pass: the steps before anything goes out, in their
 * order. It changes nothing and sends nothing.
 */
import { proxyTokenHash } from "../domain/proxyMessages.ts"
import { injectionText, upstreamText } from "../domain/ProxyRoute.ts"
import { splitTarget } from "../domain/proxyRules.ts"
import { valuesOf } from "./headers.ts"
import type { WorkerRun, WorkerRoute } from "./WorkerRun.ts"
import { Refusal } from "./refusals.ts"
import {
  candidatesOf,
  isCredentialHeader,
  isPlaceholder,
  pairsOf,
  type RawHeaders,
  slotParameters,
  tokenIn
} from "./slots.ts"

/** Where a request came in: at a base URL or a socket, or at a host of the run that is intercepted. */
export type Door =
  | { readonly kind: "plain" }
  | { readonly kind: "intercepted"; readonly run: WorkerRun; readonly host: string; readonly port: number }

export interface ProxyRequest {
  readonly door: Door
  readonly method: string
  /** As it was sent. */
  readonly target: string
  readonly version: string
  readonly headers: RawHeaders
  /** The protocol of an upgrade. */
  readonly upgrade: string | undefined
  /** The name of the server in the TLS handshake. */
  readonly serverName: string | undefined
}

/** Finds what a token is for; "ended" if its run is over. */
export type FindToken = (hash: string) => WorkerRoute | "ended" | undefined

export interface Admitted {
  readonly one: WorkerRoute
  /** Path and query as the upstream gets them, without the value. */
  readonly target: string
  /** The base URL that places of the upstream are below, for the client; undefined where they stay. */
  readonly baseUrl: string | undefined
}

/** What is refused, with the route if it is known. */
export interface Refused {
  readonly refusal: Refusal
  readonly one?: WorkerRoute | undefined
}

export const admit = (request: ProxyRequest, find: FindToken): Admitted | Refused => {
  const refusal = malformed(request) ?? fromBrowser(request)
  if (refusal !== undefined) return { refusal }
  const found = request.door.kind === "plain" ? byPlaceholder(request, find) : byHost(request, request.door)
  if ("refusal" in found) return found
  const { one } = found
  const refused = (reason: Refusal) => ({ refusal: reason, one })
  if (one.run.isOver) return refused(new Refusal("run_ended", "the run has ended"))
  const target = targetOf(request, one)
  if (target === undefined) return refused(new Refusal("path", "the path is not below that of the route's upstream"))
  const verdict = one.judge(request.method, target)
  if (!verdict.allowed) return refused(new Refusal(verdict.code, verdict.why, verdict.status))
  if (request.upgrade !== undefined && !(request.upgrade.toLowerCase() === "websocket" && one.route.websocket)) {
    return refused(new Refusal("method", "the route takes no upgrade of the connection"))
  }
  return { one, target, baseUrl: request.door.kind === "plain" ? baseUrlOf(request) : undefined }
}

const malformed = ({ headers, target, version }: ProxyRequest): Refusal | undefined => {
  if (version !== "1.1") return new Refusal("request", "only HTTP/1.1 is spoken", 505)
  if (valuesOf(headers, "host").length !== 1) return new Refusal("request", "a request has one Host")
  const codings = valuesOf(headers, "transfer-encoding")
  const hasLength = valuesOf(headers, "content-length").length > 0
  if (codings.length > 0 && (hasLength || codings.length > 1 || codings[0]?.toLowerCase() !== "chunked")) {
    return new Refusal("request", "the end of the request is not clear")
  }
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return new Refusal("cleartext", "plain http:// is not proxied")
  return undefined
}

/** Programs built on the fetch of Node send this one, and browsers never send it alone. */
const alsoOfNode = "sec-fetch-mode"

const fromBrowser = ({ headers }: ProxyRequest): Refusal | undefined => {
  const isBrowser = pairsOf(headers).some(([name]) => {
    const key = name.toLowerCase()
    return key !== alsoOfNode && (key === "origin" || key.startsWith("sec-fetch-") || key.startsWith("access-control-"))
  })
  return isBrowser ? new Refusal("browser", "a web page may not use the proxy") : undefined
}

const hostOf = ({ headers }: ProxyRequest): string => (valuesOf(headers, "host")[0] ?? "").toLowerCase()

const loopbackHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/

const baseUrlOf = (request: ProxyRequest): string | undefined => {
  const host = hostOf(request)
  return loopbackHost.test(host) ? `http://${host}` : undefined
}

/** Finds the route whose placeholder stands in its slot, for the plain door. */
const byPlaceholder = (request: ProxyRequest, find: FindToken): { readonly one: WorkerRoute } | Refused => {
  const found = new Set<WorkerRoute>()
  let [misplaced, isEnded]: [WorkerRoute | undefined, boolean] = [undefined, false]
  for (const candidate of candidatesOf(request.headers, splitTarget(request.target).query)) {
    const token = tokenIn(candidate.text)
    const known = token === undefined ? undefined : find(proxyTokenHash(token))
    if (token === undefined || known === undefined) continue
    if (known === "ended") isEnded = true
    else if (isPlaceholder(candidate, token, known.route)) found.add(known)
    else misplaced = known
  }
  const [one, other] = found
  if (one === undefined) {
    if (isEnded) return { refusal: new Refusal("run_ended", "the run has ended") }
    if (misplaced === undefined) return { refusal: new Refusal("no_token", "the request has no placeholder of a run") }
    const slot = injectionText(misplaced.route.inject)
    return { refusal: new Refusal("no_token", `the placeholder is not in its slot, ${slot}`), one: misplaced }
  }
  if (other !== undefined) return { refusal: new Refusal("route", "the request has placeholders of two routes"), one }
  const host = hostOf(request)
  if (!loopbackHost.test(host) && host !== ownHost(one)) {
    return { refusal: new Refusal("host", "the Host is neither a loopback address nor that of the route"), one }
  }
  return { one }
}

const ownHost = ({ route }: WorkerRoute): string => new URL(upstreamText(route.upstream)).host

/** Finds the route of a host, for a request that was intercepted. */
const byHost = (
  request: ProxyRequest,
  { host, port, run }: Extract<Door, { kind: "intercepted" }>
): { readonly one: WorkerRoute } | Refused => {
  const named = hostOf(request).replace(/:443$/, "")
  const routes = run.routes.filter(
    ({ route }) => route.intercept && route.upstream.host === host && route.upstream.port === port
  )
  const [first] = routes
  if (first === undefined) return { refusal: new Refusal("connect", "no route of the run intercepts the host") }
  const isOther = request.serverName !== undefined && request.serverName.toLowerCase() !== host
  if (isOther || named !== ownHost(first)) {
    return { refusal: new Refusal("host", "the host of the request is not that of its connection"), one: first }
  }
  const fitting = routes.filter((one) => !isForeign(request, one))
  if (fitting.length === 0) {
    return { refusal: new Refusal("foreign_credential", "the request has another credential"), one: first }
  }
  const passing = fitting.filter((one) => {
    const target = targetOf(request, one)
    return target !== undefined && one.judge(request.method, target).allowed
  })
  const [one = fitting[0] ?? first, other] = passing
  if (other !== undefined) return { refusal: new Refusal("route", "two routes of the run fit the request"), one }
  return { one }
}

/** Returns whether a request has a credential that is not the placeholder of this route. */
const isForeign = ({ headers, target }: ProxyRequest, one: WorkerRoute): boolean => {
  const { query } = splitTarget(target)
  const own = candidatesOf(headers, query).filter((candidate) => {
    const token = tokenIn(candidate.text)
    return (
      token !== undefined && proxyTokenHash(token) === one.route.tokenHash && isPlaceholder(candidate, token, one.route)
    )
  })
  const isOwn = (name: string) => own.some((candidate) => candidate.slot !== "query" && candidate.name === name)
  const credentials = pairsOf(headers)
    .map(([name]) => name.toLowerCase())
    .filter((name) => isCredentialHeader(name, one.route) && name !== "proxy-authorization")
  const parameters = slotParameters(one.route, query)
  const ownParameters = own.filter(({ slot }) => slot === "query")
  return (
    credentials.some((name) => !isOwn(name)) ||
    new Set(credentials).size !== credentials.length ||
    parameters.length !== ownParameters.length
  )
}

/**
 * Returns the path and the query at the upstream; undefined if they are outside of its base path. A client at a
 * base URL does not know that path.
 */
const targetOf = ({ door, target }: ProxyRequest, { route }: WorkerRoute): string | undefined => {
  const base = route.upstream.path
  if (door.kind === "plain") return target.startsWith("/") ? base + target : target
  const { path } = splitTarget(target)
  return base === "" || path === base || path.startsWith(`${base}/`) ? target : undefined
}
