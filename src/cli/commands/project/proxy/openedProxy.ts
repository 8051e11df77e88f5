/**
 * What the daemon answers to `proxy.open`: the routes of the run, where the worker listens, and no value.
 */
import { optional, type Shaped } from "../../../../domain/shape.ts"

const routeExample = {
  name: "",
  secret: "",
  upstream: "",
  inject: { kind: "", user: optional(""), name: optional(""), format: optional("") },
  placeholder: "",
  preset: optional(""),
  intercept: true
}

export const openedExample = {
  run_id: "",
  cursor: 0,
  /** The worker's. */
  socket: "",
  /** When its first lease expires. */
  expires_at: optional(""),
  routes: [routeExample],
  /** The certificate of the run, if a route intercepts. */
  ca: optional("")
}

export type OpenedProxy = Shaped<typeof openedExample>
export type OpenedRoute = Shaped<typeof routeExample>

/** A route as the program sees it. */
export interface ProgramRoute extends OpenedRoute {
  /** What a client sends in place of the value. */
  readonly credential: string
  /** `http://127.0.0.1:PORT`; undefined if the route intercepts. */
  readonly base: string | undefined
}

/** Returns the host name of a route's upstream; an IPv6 address without brackets. */
export const hostOf = ({ upstream }: Pick<OpenedRoute, "upstream">): string =>
  withoutBrackets(new URL(upstream).hostname)

export const withoutBrackets = (host: string): string => host.replace(/^\[(.*)\]$/, "$1")
