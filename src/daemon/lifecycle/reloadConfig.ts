/**
 * Records the policy of a start, and reads the policy and the routes of the proxy again at SIGHUP: as a whole, or not at all.
 *
 * The other settings of config.json need a restart.
 */
import * as Effect from "effect/Effect"
import { sha256 } from "../../domain/AuditChain.ts"
import { policyFact } from "../../domain/daemonFacts.ts"
import type { Config } from "../../domain/Config.ts"
import type { PolicyRule } from "../../domain/Policy.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { replaceablePolicy } from "../operations/CurrentPolicy.ts"
import type { replaceableRoutes } from "../operations/CurrentRoutes.ts"
import { forgetApprovals } from "../operations/requests.ts"

type Rules = ReadonlyArray<PolicyRule> | undefined

/** The part of config.json that is read again. */
export type ReplacedConfig = Pick<Config, "policy" | "proxyRoutes">

/** What applies now. */
export interface ReplaceableConfig {
  readonly policy: ReturnType<typeof replaceablePolicy>
  readonly routes: ReturnType<typeof replaceableRoutes>
}

/** Records that these rules apply from here on. */
export const recordPolicy = (rules: Rules) =>
  AuditLog.use((audit) => audit.append([policyFact(rules?.length, textOf(rules))]))

/**
 * Replaces policy and routes by what `read` returns, once the rules are recorded. If that or the reading fails, the
 * reason is logged. `read` returns undefined if there is no config.json: an editor may be about to replace it.
 */
export const reloadConfig = (
  current: ReplaceableConfig,
  read: Effect.Effect<ReplacedConfig | undefined, { readonly message: string }>
) =>
  Effect.gen(function* () {
    const next = yield* read
    if (next === undefined) {
      const isUnused = current.policy.rules() === undefined && current.routes.get().length === 0
      return yield* isUnused ? Effect.void : logKept(current, "config.json is not there")
    }
    const [hasOtherRules, hasOtherRoutes] = [
      textOf(next.policy) !== textOf(current.policy.rules()),
      textOf(next.proxyRoutes) !== textOf(current.routes.get())
    ]
    if (!hasOtherRules && !hasOtherRoutes) return
    if (hasOtherRules) yield* recordPolicy(next.policy)
    current.policy.replace(next.policy)
    current.routes.replace(next.proxyRoutes)
    // They were given under the other rules.
    yield* forgetApprovals
    if (hasOtherRules)
      yield* logChange(next.policy === undefined ? "there is no policy now" : "the policy is another one")
    if (hasOtherRoutes)
      yield* logChange(next.proxyRoutes.length === 0 ? "the proxy has no routes now" : "the proxy has other routes")
  }).pipe(Effect.catch(({ message }) => logKept(current, message)))

const logChange = (change: string) => Effect.logInfo(`SIGHUP: ${change}`)

const logKept = ({ policy, routes }: ReplaceableConfig, reason: string) => {
  const kept = [
    ...(policy.rules() === undefined ? [] : ["the policy stays as it is"]),
    ...(routes.get().length === 0 ? [] : ["the routes of the proxy stay as they are"])
  ]
  return Effect.logError(`SIGHUP: ${kept.length === 0 ? "config.json is not used" : kept.join(", and ")}: ${reason}`)
}

const textOf = (settings: unknown): string =>
  sha256(JSON.stringify(settings ?? null, (_, member: unknown) => (typeof member === "bigint" ? `${member}` : member)))
