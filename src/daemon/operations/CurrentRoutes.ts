/**
 * The routes of the proxy that programs can open now. They are replaced as a whole, when the daemon reads config.json again;
 * open runs keep theirs.
 */
import * as Context from "effect/Context"
import type { ProxyRoute } from "../../domain/ProxyRoute.ts"

type Routes = ReadonlyArray<ProxyRoute>

export const CurrentRoutes = Context.Reference<{ readonly get: () => Routes }>("agent-secrets/CurrentRoutes", {
  defaultValue: () => replaceableRoutes([])
})

/** Makes routes that can be replaced. */
export const replaceableRoutes = (routes: Routes) => {
  let current = routes
  return {
    get: () => current,
    replace: (next: Routes) => void (current = next)
  }
}
