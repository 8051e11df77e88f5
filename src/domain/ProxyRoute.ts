/**
 * A route of the proxy: a secret, the one upstream that it is for, the slot of a request that it
 * goes to, and what limits it. Only the user's config.json has routes; a project may name them and
 * narrow them. It imports no library, since the worker loads it.
 */
import type { RouteRules } from "./proxyRules.ts"

/** The way of a value that the proxy uses for a program: nobody gets it. */
export const proxyWay = "proxy"

/** The slot of a request that the value goes to; everything else of a request stays as it is. */
export type Injection =
  | { readonly kind: "bearer" }
  | { readonly kind: "basic"; readonly user: string }
  /** `{}` in the format stands for the value. */
  | { readonly kind: "header"; readonly name: string; readonly format: string }
  | { readonly kind: "query"; readonly name: string }

export interface Upstream {
  /** In lower case, without the port; an IPv6 address has its brackets. */
  readonly host: string
  readonly port: number
  /** The path before that of each request, without a slash at its end; mostly empty. */
  readonly path: string
}

export interface RouteLimits {
  /** Requests of one run at a time. */
  readonly inFlight: number
  /** Bytes of a request; undefined for any number. */
  readonly body: number | undefined
  /** In milliseconds, until the upstream's headers. */
  readonly headerTimeout: number
  /** In milliseconds, without a byte. */
  readonly idle: number
}

export interface ProxyRoute extends RouteRules {
  readonly name: string
  readonly secret: string
  readonly upstream: Upstream
  readonly inject: Injection
  readonly deny: ReadonlyArray<string>
  /** Globs of the client ids that may open it. */
  readonly clients: ReadonlyArray<string> | undefined
  /** Whether clients reach it by its own host, through a CA of the run. */
  readonly intercept: boolean
  readonly websocket: boolean
  /** Whether values are masked in answers. */
  readonly mask: boolean
  /** What stands before the token, for clients that look. */
  readonly placeholder: string
  /** Whether the upstream may be at a private or loopback address. */
  readonly private: boolean
  /** The path of a PEM file whose certificates are trusted beside those of the system. */
  readonly ca: string | undefined
  readonly limits: RouteLimits
  readonly preset: ProxyPresetName | undefined
}

export const proxyPresetNames = ["openai", "anthropic", "github", "git", "npm", "stripe"] as const
export type ProxyPresetName = (typeof proxyPresetNames)[number]

/** Returns the address of an upstream as people write it. */
export const upstreamText = ({ host, path, port }: Upstream): string => {
  const shownPort = port === 443 ? "" : `:${port}`
  return `https://${host}${shownPort}${path}`
}

/** Returns the slot as people name it. */
export const injectionText = (inject: Injection): string => {
  if (inject.kind === "bearer") return "bearer token"
  if (inject.kind === "basic") return `basic, user ${inject.user}`
  return inject.kind === "header" ? `header ${inject.name}` : `query parameter ${inject.name}`
}

/** Returns the names of two routes of one host that a request without a placeholder may be for, if there are any. */
export const ambiguousRoutes = (
  routes: ReadonlyArray<ProxyRoute>,
  overlap: (one: string, other: string) => boolean
): readonly [string, string] | undefined => {
  for (const [index, one] of routes.entries()) {
    for (const other of routes.slice(index + 1)) {
      if (!one.intercept && !other.intercept) continue
      if (one.upstream.host !== other.upstream.host || one.upstream.port !== other.upstream.port) continue
      const [paths = ["/**"], others = ["/**"]] = [one.paths, other.paths]
      if (paths.some((glob) => others.some((against) => overlap(glob, against)))) return [one.name, other.name]
    }
  }
  return undefined
}
