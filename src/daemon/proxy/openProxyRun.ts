/**
 * Opens a run of the proxy: one lease for each secret, then the run, then its entry, and only then
 * the worker gets the values. The caller gets none of them. What fails takes the leases back.
 */
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import type { LeaseOrigin } from "../../domain/factMakers.ts"
import { returnFact } from "../../domain/leaseFacts.ts"
import { closestMatch } from "../../domain/closestMatch.ts"
import { globMatcher } from "../../domain/glob.ts"
import type { GoDuration } from "../../domain/GoDuration.ts"
import { quote } from "../../domain/goText.ts"
import type { Lease } from "../../domain/Lease.ts"
import { type ProxyRoute, proxyWay } from "../../domain/ProxyRoute.ts"
import type { RouteRules } from "../../domain/proxyRules.ts"
import { systemErrorText } from "../../domain/systemError.ts"
import { LeaseRepo } from "../leases/LeaseRepo.ts"
import { acquire } from "../operations/acquire.ts"
import { CurrentRoutes } from "../operations/CurrentRoutes.ts"
import { CurrentLimits } from "../operations/leaseRules.ts"
import { concludeRun, registerRun } from "../operations/runs.ts"
import type { RunConnection } from "../runs/RunTable.ts"
import type { RunRoute } from "./ProxyRun.ts"
import type { ProxyRuns } from "./ProxyRuns.ts"
import { ProxyUnavailable } from "./WorkerProcess.ts"

/** No route has this name, or none for this client. */
export class RouteNotFound extends Data.TaggedError("RouteNotFound")<{
  readonly route: string
  /** A route of the client that is spelled almost so. */
  readonly meant: string | undefined
}> {
  override get message() {
    const hint = this.meant === undefined ? "" : `; did you mean ${quote(this.meant)}?`
    return `the proxy has no route ${quote(this.route)} for this client${hint}`
  }
}

/** A route as a program asks for it, with what narrows it. */
export interface RequestedRoute extends RouteRules {
  readonly name: string
  readonly tokenHash: string
}

export interface ProxyOpening {
  readonly clientId: string
  readonly routes: ReadonlyArray<RequestedRoute>
  readonly connectHash: string | undefined
  /** Undefined for the longest that is permitted. */
  readonly ttl: GoDuration | undefined
  readonly origin: LeaseOrigin
  readonly pid: number | undefined
  readonly connection: RunConnection
}

/** Finds a route that the client may open. */
export const findRoute = Effect.fnUntraced(function* (name: string, clientId: string) {
  const routes = (yield* CurrentRoutes).get()
  const own = routes.filter(({ clients }) => clients?.some((glob) => globMatcher(glob)(clientId)) ?? true)
  const route = own.find((one) => one.name === name)
  if (route !== undefined) return route
  const names = own.map((one) => one.name)
  return yield* new RouteNotFound({ route: name, meant: closestMatch(name, names) })
})

export const openProxyRun = Effect.fn("openProxyRun")(function* (proxy: ProxyRuns, opening: ProxyOpening) {
  const { clientId, connection, origin: said, pid } = opening
  const origin = { ...said, via: proxyWay }
  const routes = yield* Effect.forEach(opening.routes, (asked) =>
    Effect.flatMap(findRoute(asked.name, clientId), (route) => withRules(route, asked))
  )
  const names = [...new Set(routes.map(({ secret }) => secret))]
  const opened = Effect.gen(function* () {
    yield* proxy.prepare
    const leases = yield* leaseEach(opening, names, origin)
    const leaseIds = leases.map(({ id }) => id)
    const { cursor, run } = yield* Effect.tapError(registerRun({ clientId, leaseIds, origin, pid, connection }), () =>
      returnLeases(leases)
    )
    const conclude = (details: string) => Effect.ignore(concludeRun({ runId: run.id, leaseIds: [], details }))
    const expires = Math.min(...leases.map(({ expiresAt }) => expiresAt.millis))
    const opened = proxy.open(run, { routes, connectHash: opening.connectHash, expires })
    const { ca, ended } = yield* Effect.tapError(opened, () => conclude("not opened"))
    // It ends with its connection, at once: what is left of its program cannot renew it.
    const leaving = Effect.andThen(connection.closed, Effect.uninterruptible(conclude("connection closed")))
    proxy.fork(yield* inContext(Effect.raceFirst(ended, leaving)))
    return { run, cursor, expires, leases, routes, ca }
  })
  return yield* Effect.tapError(opened, () => proxy.rest)
}, Effect.uninterruptible)

/** Gives an effect the services that are here. */
const inContext = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.contextWith((context: Context.Context<R>) => Effect.succeed(Effect.provide(effect, context)))

/** Leases every secret, or none. */
const leaseEach = Effect.fnUntraced(function* (
  { clientId, ttl }: ProxyOpening,
  names: ReadonlyArray<string>,
  origin: LeaseOrigin
) {
  const leases: Array<Lease> = []
  const { maximum } = (yield* CurrentLimits).ttl
  const request = { clientId, origin, ttl: ttl ?? maximum, shorten: ttl === undefined, isForProxy: true }
  for (const secretName of names) {
    const { lease } = yield* acquire({ ...request, secretName }).pipe(Effect.tapError(() => returnLeases(leases)))
    leases.push(lease)
  }
  return leases
})

const returnLeases = (leases: ReadonlyArray<Lease>) =>
  LeaseRepo.use((repo) =>
    Effect.ignore(
      repo.transaction({ _tag: "Leases", ids: leases.map(({ id }) => id) }, (tx) => {
        for (const lease of leases) if (tx.find(lease.id) !== undefined) tx.revoke(lease, returnFact(lease))
        return Result.succeed(undefined)
      })
    )
  )

/** Adds to a route what is of this run alone. */
const withRules = Effect.fnUntraced(function* (route: ProxyRoute, asked: RequestedRoute) {
  const { tokenHash } = asked
  const { ca } = route
  const caPem =
    ca === undefined
      ? undefined
      : yield* Effect.tryPromise({
          try: () => fs.promises.readFile(ca, "utf8"),
          catch: (cause) => {
            const reason = cause instanceof Error ? systemErrorText(cause) : "unknown error"
            return new ProxyUnavailable({ reason: `cannot read ${ca}, the ca of the route ${route.name}: ${reason}` })
          }
        })
  return { ...route, tokenHash, caPem, rules: [rulesOf(route), rulesOf(asked)] } satisfies RunRoute
})

const rulesOf = ({ deny, methods, paths }: RouteRules): RouteRules => ({ deny, methods, paths })
