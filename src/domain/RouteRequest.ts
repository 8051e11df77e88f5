/**
 * Which routes of config.json a project asks for. It imports nothing: every `exec` loads it.
 */

/** A route of config.json that a program wants to use, within narrower limits. */
export interface RouteRequest {
  readonly name: string
  readonly methods?: ReadonlyArray<string>
  readonly paths?: ReadonlyArray<string>
  readonly deny?: ReadonlyArray<string>
}

type WrittenRoute = string | (Omit<RouteRequest, "name"> & { readonly route: string })

/** Returns the routes that a project names. */
export const routesOf = ({
  proxy = []
}: {
  readonly proxy?: ReadonlyArray<WrittenRoute>
}): ReadonlyArray<RouteRequest> =>
  proxy.map((one) => {
    if (typeof one === "string") return { name: one }
    const { route: name, ...limits } = one
    return { name, ...limits }
  })
