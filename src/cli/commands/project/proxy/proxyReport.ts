/**
 * What `exec` says about the proxy of its program: at the start what it is not, and at the end what did not go through it.
 */
import { escapeValue } from "../../../../domain/escape.ts"
import type { Variables } from "./clientVariables.ts"
import { bypassOf } from "./interception.ts"
import { hostOf, type OpenedRoute } from "./openedProxy.ts"

/** For a program whose user can read what the daemon keeps. */
export const notASandbox =
  "--proxy keeps values out of the program, but the daemon is of the same user, whose processes can read its files"

/** How a route was used, as the daemon counts it. */
export interface RouteUse {
  readonly name: string
  readonly requests: number
  readonly refused: number
  /** Clients that refused the certificate of the run. */
  readonly unknown_ca: number
}

/** Returns the lines for the end of a run. `environment` is that of `exec`. */
export const endLines = (
  routes: ReadonlyArray<OpenedRoute>,
  uses: ReadonlyArray<RouteUse>,
  environment: Variables
): ReadonlyArray<string> => {
  const refused = routes.filter(({ name }) => uses.some((use) => use.name === name && use.unknown_ca > 0))
  const idle = uses.filter(({ requests }) => requests === 0)
  const barred = routes.filter(({ name }) => idle.some((use) => use.name === name && use.refused > 0))
  const unused = routes.filter(({ name }) => idle.some((use) => use.name === name && use.refused === 0))
  const plainlyUnused = unused.filter((route) => !refused.includes(route) && bypassed(route, environment) === undefined)
  return [
    ...refused.map((route) => `a client did not accept the certificate of the run for ${hostOf(route)}`),
    ...barred.map(({ name }) => `every request to route ${name} was refused: secrets proxy check`),
    ...unused.flatMap((route) => {
      const entry = bypassed(route, environment)
      return entry === undefined
        ? []
        : [
            `route ${route.name} was never used: NO_PROXY has ${escapeValue(entry)}, so ${hostOf(route)} is reached directly`
          ]
    }),
    ...(plainlyUnused.length === 0
      ? []
      : [
          `${plainlyUnused.length === 1 ? "route" : "routes"} ${plainlyUnused.map(({ name }) => name).join(", ")} ${
            plainlyUnused.length === 1 ? "was" : "were"
          } never used`
        ])
  ]
}

const bypassed = (route: OpenedRoute, environment: Variables): string | undefined =>
  route.intercept ? bypassOf(hostOf(route), environment) : undefined
