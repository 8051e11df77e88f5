/**
 * The audit entries about the proxy: that a run was opened, what each route carried, what was
 * refused, and the end. They hold counts, no entry per request: an agent makes thousands.
 */
import * as path from "node:path"
import type { AuditFact } from "./AuditEntry.ts"
import type { RunFacts } from "./leaseFacts.ts"
import type { AuditAction } from "./auditActions.ts"
import { counted } from "./counted.ts"
import type { ProxyNotable, ProxyRefusal, RouteTotals } from "./proxyMessages.ts"
import { fromMillis } from "./Timestamp.ts"

type ProxyAction = Extract<AuditAction, `proxy_${string}`>

const factOf = (
  action: ProxyAction,
  { clientId, id, origin: { program } }: RunFacts,
  details: string,
  more: Pick<AuditFact, "secret_name" | "lease_id"> = {}
): AuditFact => ({
  action,
  ...more,
  client_id: clientId,
  details,
  success: action !== "proxy_refuse",
  ...(program !== undefined && { program: path.basename(program) }),
  run_id: id
})

/** A route of a run, as entries name it. */
export interface NamedRoute {
  readonly name: string
  readonly secret: string
}

const ofRoute = (run: RunFacts, route: NamedRoute | undefined) => {
  const lease = route === undefined ? undefined : run.leases.get(route.secret)
  return {
    ...(route !== undefined && { secret_name: route.secret }),
    ...(lease !== undefined && { lease_id: lease })
  }
}

/** Records that a run may use its routes from here on. */
export const proxyOpenFact = (run: RunFacts, routes: ReadonlyArray<NamedRoute>) =>
  factOf("proxy_open", run, `routes: ${routes.map(({ name }) => name).join(", ")}`)

/** Records the first request of a route, before it is sent. */
export const proxyFirstUseFact = (run: RunFacts, route: NamedRoute) =>
  factOf("proxy_use", run, `${route.name}: the first request`, ofRoute(run, route))

/** Records what a route has carried so far. */
export const proxyUseFact = (run: RunFacts, route: NamedRoute, totals: RouteTotals) =>
  factOf("proxy_use", run, totalsText(totals), ofRoute(run, route))

/** Records that a run is over, with what it carried. */
export const proxyCloseFact = (run: RunFacts, why: string, totals: ReadonlyArray<RouteTotals>) =>
  factOf("proxy_close", run, [why, ...totals.map(totalsText)].join("; "))

const texts: Readonly<Record<ProxyNotable, string>> = {
  masked: "the upstream echoed the value, which was masked",
  foreign_credential: "a request had a credential of its own",
  address: "the upstream has an address that the route does not permit",
  unknown_ca: "a client did not accept the CA of the run"
}
export const proxyNotableFact = (run: RunFacts, route: NamedRoute, what: ProxyNotable) =>
  factOf(what === "masked" ? "proxy_use" : "proxy_refuse", run, `${route.name}: ${texts[what]}`, ofRoute(run, route))

/** Records requests that were refused. The path is without its query, and nothing in it is secret. */
export const proxyRefuseFact = (
  run: RunFacts | undefined,
  route: NamedRoute | undefined,
  { code, count, method, path }: Pick<ProxyRefusal, "code" | "count" | "method" | "path">
): AuditFact => {
  const details = `${route === undefined ? "" : `${route.name}: `}${code}, ${method} ${path}, ${counted(count, "request")}`
  if (run === undefined) return { action: "proxy_refuse" satisfies ProxyAction, details, success: false }
  return factOf("proxy_refuse", run, details, ofRoute(run, route))
}

export const refusedCount = ({ refusals }: Pick<RouteTotals, "refusals">): number =>
  Object.values(refusals).reduce((sum, count) => sum + count, 0)

const timeText = (millis: number): string => fromMillis(millis - (millis % 1000)).text

const totalsText = (totals: RouteTotals): string => {
  const { bytesIn, bytesOut, firstUsed, lastUsed, masked, requests, route, statuses } = totals
  const refused = refusedCount(totals)
  if (requests === 0 && refused === 0) return `${route}: never used`
  const parts = [
    counted(requests, "request"),
    `${refused} refused`,
    ...Object.entries(statuses).map(([status, count]) => `${status} ${count}`),
    `${bytesIn} bytes in`,
    `${bytesOut} out`,
    `${masked} masked`,
    ...(firstUsed === undefined ? [] : [`first ${timeText(firstUsed)}`]),
    ...(lastUsed === undefined ? [] : [`last ${timeText(lastUsed)}`])
  ]
  return `${route}: ${parts.join(", ")}`
}
