/**
 * The section `proxy` of config.json: its routes as they are written, and as the daemon uses them.
 * A route says where a credential may go, so what is not understood is rejected, not passed over.
 */
import * as Schema from "effect/Schema"
import { isIP } from "node:net"
import { minute } from "./GoDuration.ts"
import { ambiguousRoutes, type Injection, proxyPresetNames, type ProxyRoute, type Upstream } from "./ProxyRoute.ts"
import { proxyPresets } from "./proxyPresets.ts"
import { pathGlobProblem, pathGlobsOverlap, pathProblem } from "./proxyRules.ts"
import * as Setting from "./Setting.ts"
import { limit, optionalSetting, section, setting } from "./Setting.ts"

/** Headers that this program sets itself, or that say where a message ends. */
const ownHeaders =
  /^(host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*|accept-encoding)$/i

const headerExpected = "the name of a header that is not part of the transport"
const headerName = Setting.text(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/u, headerExpected)
  .check(Schema.makeFilter((name) => !ownHeaders.test(name)))
  .annotate({ expected: headerExpected })

const inject = section({
  basic: optionalSetting(Setting.text(/^[^:\p{Cc}]{1,256}$/u, "a user name without a colon"), "the user of Basic"),
  header: optionalSetting(headerName, "a header that the value goes to"),
  format: optionalSetting(
    Setting.text(/^[^{}\p{Cc}]*\{\}[^{}\p{Cc}]*$/u, "a text of one line that has {} once"),
    "what stands in that header; {} is the value, which stands alone if not set"
  ),
  query: optionalSetting(Setting.text(/^[A-Za-z0-9_.-]{1,100}$/u, "the name of a query parameter"), "a query parameter")
}).check(
  Schema.makeFilter(({ basic, format, header, query }) => {
    const slots = [basic, header, query].filter((one) => one !== undefined)
    if (slots.length !== 1) return "must have one of basic, header, query"
    return format === undefined || header !== undefined || { path: ["format"], issue: "goes with header alone" }
  })
)

const globs = Schema.Array(
  Setting.text(/^(?:\/|\*\*)[^?#]{0,255}$/u, "a glob of paths").check(
    Schema.makeFilter((glob) => pathGlobProblem(glob) ?? true)
  )
)
  .check(Schema.isMaxLength(100))
  .annotate({ expected: "a list of at most 100 globs of paths, such as /v1/**; ** stands alone between two slashes" })

const methodList = Schema.Array(Setting.text(/^(?!(?:TRACE|CONNECT)$)[A-Z][A-Z-]{0,30}$/u, "a method"))
  .check(Schema.isMinLength(1), Schema.isMaxLength(20))
  .annotate({ expected: "a list of methods in capitals, without TRACE and CONNECT" })

const clientGlobs = Schema.Array(Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(256)))
  .check(Schema.isMinLength(1), Schema.isMaxLength(100))
  .annotate({ expected: "a list of 1 to 100 globs, each of 1 to 256 characters" })

const limits = section({
  in_flight: setting(Setting.count, "how many requests of a run may be under way", 64),
  body: optionalSetting(Setting.size(1), "the size of the largest request; any if not set"),
  header_timeout: setting(Setting.duration(), "how long the upstream may take to begin its answer", 15n * minute),
  idle: setting(Setting.duration(), "how long a connection may be without a byte", 15n * minute)
})

const route = section({
  secret: Setting.text(/^[^\0]+$/u, "the name of a secret", "the secret that it is for; required"),
  preset: optionalSetting(
    Setting.oneOf(proxyPresetNames),
    "takes the upstream, the slot, the placeholder and what is denied from a table"
  ),
  upstream: optionalSetting(
    Setting.text(/^https?:\/\/[^\s?#@\\]+$/u, "an https address without a user, a query or a fragment"),
    "the one origin that gets the value, with a path or without; required unless a preset has it"
  ),
  inject: optionalSetting(
    Schema.Union([Schema.Literal("bearer"), inject]).annotate({
      expected: "bearer, or a JSON object with one of basic, header, query"
    }),
    "the slot of a request that gets the value; that of the preset, or bearer"
  ),
  methods: limit(methodList, "the methods that may be used; all but TRACE and CONNECT if not set"),
  paths: limit(globs, "globs of the paths that may be used, as the upstream gets them; every path if not set"),
  deny: limit(globs, "globs of paths that may not be used, besides those of the preset"),
  clients: limit(clientGlobs, "globs of the client ids that may open it; every client if not set"),
  intercept: setting(Setting.flag, "whether clients reach it by its own name, through a CA of the run", false),
  websocket: setting(Setting.flag, "whether it takes WebSockets, whose frames are not looked through", false),
  mask: setting(Setting.flag, "whether values are masked in answers", true),
  placeholder: optionalSetting(
    Setting.text(/^[A-Za-z0-9._-]{0,32}$/u, "at most 32 letters, digits, dots, dashes and underscores"),
    "what stands before a token, for clients that look; that of the preset, or nothing"
  ),
  private: setting(Setting.flag, "whether the upstream may have a private or a loopback address", false),
  ca: optionalSetting(Setting.filePath, "a PEM file of certificates that are trusted besides those of the system"),
  limits: Setting.subsection(limits, "how much it carries", {})
})
  .annotate({ expected: "a JSON object", description: "a route" })
  .check(
    Schema.makeFilter(({ preset, private: isPrivate, upstream }) => {
      if (upstream === undefined) return preset !== undefined || { path: ["upstream"], issue: "or preset is required" }
      const problem = upstreamProblem(upstream, isPrivate)
      return problem === undefined || { path: ["upstream"], issue: problem }
    })
  )

/** The name of a route is part of command lines and of messages. */
const routeName = /^[a-z][a-z0-9_-]{0,31}$/

const routes = Schema.Record(Schema.String, route)
  .check(
    Schema.makeFilter((given) => {
      const wrong = Object.keys(given).findIndex((key) => !routeName.test(key))
      if (wrong < 0) return true
      return `has a route (number ${wrong + 1}) whose name is not 1 to 32 lower-case letters, digits, - and _`
    }),
    Schema.makeFilter((given) => {
      const [one, other] = ambiguousRoutes(routesFrom(given), pathGlobsOverlap) ?? []
      if (one === undefined || other === undefined) return true
      return { path: [other], issue: `has the host of ${one} and intercepts: paths must tell them apart` }
    })
  )
  .annotate({ expected: "a JSON object" })

export const proxySection = section({
  routes: setting(routes, "the routes of `secrets exec --proxy`, by their names", {})
})

/** Returns what is wrong with the address of an upstream, as the rest of a sentence. */
export const upstreamProblem = (text: string, isPrivate: boolean): string | undefined => {
  const [, scheme = "", authority = "", path = ""] = /^([a-z]+):\/\/([^/?#@\s\\]+)(\/[^?#]*)?$/i.exec(text) ?? []
  if (scheme.toLowerCase() === "http") return "must be https: a credential is never sent in clear"
  if (scheme.toLowerCase() !== "https" || !URL.canParse(text))
    return "must be an https address without a user, a query or a fragment"
  const { hostname, port } = new URL(text)
  if (port === "0") return "must have a port above 0"
  // Numbers such as 0x7f000001 are addresses to those who connect.
  if (hostname !== authority.toLowerCase().replace(/:\d*$/, "")) return "must have a host in its normal form"
  if (hostname.endsWith(".") || /[^a-z0-9.:[\]_-]/.test(hostname)) return "must have a host in its normal form"
  if (!isPrivate && isIP(hostname.replace(/^\[|\]$/g, "")) !== 0) return "must be a name; an address needs private"
  if (!isPrivate && /^(.+\.)?localhost$/.test(hostname)) return "is at this machine, which needs private"
  const below = path.replace(/\/$/, "")
  const problem = below === "" ? undefined : pathProblem(below)
  return problem === undefined ? undefined : `must have another path: it ${problem}`
}

const upstreamFrom = (text: string): Upstream => {
  const { hostname, pathname, port } = new URL(text)
  return { host: hostname, port: port === "" ? 443 : Number(port), path: pathname.replace(/\/$/, "") }
}

const injectionFrom = (given: (typeof route.Type)["inject"]): Injection | undefined => {
  if (given === undefined) return undefined
  if (given === "bearer") return { kind: "bearer" }
  const { basic, format = "{}", header, query } = given
  if (basic !== undefined) return { kind: "basic", user: basic }
  if (header !== undefined) return { kind: "header", name: header.toLowerCase(), format }
  return query === undefined ? undefined : { kind: "query", name: query }
}

const millis = (nanoseconds: bigint): number => Number(nanoseconds / 1_000_000n)

/** Returns the routes as the daemon uses them. */
export const routesFrom = (given: Readonly<Record<string, typeof route.Type>>): ReadonlyArray<ProxyRoute> =>
  Object.entries(given).flatMap(([name, one]): ReadonlyArray<ProxyRoute> => {
    const preset = one.preset === undefined ? undefined : proxyPresets[one.preset]
    const upstream = one.upstream ?? preset?.upstream
    if (upstream === undefined || upstreamProblem(upstream, true) !== undefined) return []
    const { body, header_timeout: headerTimeout, idle, in_flight: inFlight } = one.limits
    return [
      {
        name,
        secret: one.secret,
        upstream: upstreamFrom(upstream),
        inject: injectionFrom(one.inject) ?? preset?.inject ?? { kind: "bearer" },
        methods: one.methods,
        paths: one.paths,
        deny: [...(preset?.deny ?? []), ...(one.deny ?? [])],
        clients: one.clients,
        intercept: one.intercept,
        websocket: one.websocket,
        mask: one.mask,
        placeholder: one.placeholder ?? preset?.placeholder ?? "",
        private: one.private,
        ca: one.ca,
        limits: { inFlight, body, headerTimeout: millis(headerTimeout), idle: millis(idle) },
        preset: one.preset
      }
    ]
  })
