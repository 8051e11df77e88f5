/**
 * Records the policy of a start, and reads it again at SIGHUP: as a whole, or not at all.
 *
 * The other settings of config.json need a restart.
 */
import * as Effect from "effect/Effect"
import { sha256 } from "../../domain/AuditChain.ts"
import { policyFact } from "../../domain/AuditEntry.ts"
import type { PolicyRule } from "../../domain/Policy.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import type { replaceablePolicy } from "../operations/CurrentPolicy.ts"
import { forgetApprovals } from "../operations/requests.ts"

type Rules = ReadonlyArray<PolicyRule> | undefined

/** Records that these rules apply from here on. */
export const recordPolicy = (rules: Rules) =>
  AuditLog.use((audit) => audit.append([policyFact(rules?.length, textOf(rules))]))

/** Reads the rules again. They apply once they are recorded; if that or the reading fails, the reason is logged. */
export const reloadPolicy = (
  policy: ReturnType<typeof replaceablePolicy>,
  read: Effect.Effect<Rules, { readonly message: string }>
) =>
  Effect.gen(function* () {
    const rules = yield* read
    if (textOf(rules) === textOf(policy.rules())) return
    yield* recordPolicy(rules)
    policy.replace(rules)
    // They were given under the other rules.
    yield* forgetApprovals
    yield* Effect.logInfo(`SIGHUP: ${rules === undefined ? "there is no policy now" : "the policy is another one"}`)
  }).pipe(
    // Without a policy there is nothing to keep: most hangups are those of a log rotator.
    Effect.catch(({ message }) =>
      policy.rules() === undefined ? Effect.void : Effect.logError(`SIGHUP: the policy stays as it is: ${message}`)
    )
  )

const textOf = (rules: Rules): string =>
  sha256(JSON.stringify(rules ?? null, (_, member: unknown) => (typeof member === "bigint" ? `${member}` : member)))
