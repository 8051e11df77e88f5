/**
 * The methods about the proxy, beyond the predecessor. Their code is loaded by the first request.
 */
import * as Effect from "effect/Effect"

const methods = Effect.promise(() => import("../proxyMethods.ts"))

export const proxyHandlers = {
  "proxy.open": (raw: unknown) => Effect.flatMap(methods, ({ openProxy }) => openProxy(raw)),
  "proxy.status": (raw: unknown) => Effect.flatMap(methods, ({ proxyStatus }) => proxyStatus(raw)),
  "proxy.check": (raw: unknown) => Effect.flatMap(methods, ({ checkProxy }) => checkProxy(raw))
}
