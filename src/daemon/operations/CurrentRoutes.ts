/**
 * The routes of the proxy, as config.json had them at the start.
 */
import * as Context from "effect/Context"
import type { ProxyRoute } from "../../domain/ProxyRoute.ts"

export const CurrentRoutes = Context.Reference<ReadonlyArray<ProxyRoute>>("agent-secrets/CurrentRoutes", {
  defaultValue: () => []
})
