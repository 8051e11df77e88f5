/**
 * The proxy as the rest of the daemon has it: nothing, until the first request about it. A daemon
 * without routes loads none of its code.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { owner } from "../../domain/Caller.ts"
import type { AuditLog } from "../audit/AuditLog.ts"
import { CurrentCaller } from "../audit/CurrentCaller.ts"
import type { LeaseRepo } from "../leases/LeaseRepo.ts"
import type { OtelSink } from "../../otel/OtelSink.ts"
import type { Runs } from "../runs/Runs.ts"
import type { SecretStore } from "../secrets/SecretStore.ts"
import type { ProxyRuns, ProxyRunsOptions } from "./ProxyRuns.ts"

/** Returns what of the proxy is loaded; undefined if nothing was needed yet. */
export const loadedProxy = Effect.suspend(() =>
  Effect.map(Effect.serviceOption(Proxy), (proxy) => Option.getOrUndefined(proxy)?.loaded())
)

export class Proxy extends Context.Service<
  Proxy,
  {
    /** Loads it at the first use. */
    readonly load: Effect.Effect<ProxyRuns>
    /** What is loaded; undefined if nothing was needed yet. */
    readonly loaded: () => ProxyRuns | undefined
  }
>()("agent-secrets/Proxy") {
  static readonly layer = (options: () => Effect.Effect<ProxyRunsOptions>) =>
    Layer.effect(
      Proxy,
      Effect.gen(function* () {
        const scope = yield* Effect.scope
        const context = yield* Effect.context<AuditLog | LeaseRepo | OtelSink | Runs | SecretStore>()
        let loaded: ProxyRuns | undefined
        const load = yield* Effect.cached(
          Effect.gen(function* () {
            const { makeProxyRuns } = yield* Effect.promise(() => import("./ProxyRuns.ts"))
            loaded = yield* Scope.provide(makeProxyRuns(yield* options()), scope)
            return loaded
            // Not for the caller whose request comes first.
          }).pipe(Effect.provide(context), Effect.provideService(CurrentCaller, owner), Effect.uninterruptible)
        )
        return Proxy.of({ load, loaded: () => loaded })
      })
    )
}
