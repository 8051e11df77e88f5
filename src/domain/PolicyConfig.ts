/**
 * The section `policy` of config.json: its rules as they are written. Policy.ts says what
 * they mean.
 */
import * as Schema from "effect/Schema"
import { closestMatch } from "./closestMatch.ts"
import { second } from "./GoDuration.ts"
import { maxApprovalTime } from "./OpenRequest.ts"
import type { PolicyRule } from "./Policy.ts"
import * as Setting from "./Setting.ts"
import { limit, section } from "./Setting.ts"

const globs = Schema.Array(Setting.glob.check(Schema.isMaxLength(256)))
  .check(Schema.isMaxLength(100))
  .annotate({ expected: "a list of at most 100 globs, each of 1 to 256 characters" })

/** A way that no command has would forbid more than was meant. */
const ways = Schema.Array(
  Setting.glob.check(
    Schema.isPattern(/^(?:lease|exec|env|mcp|proxy|helper:.{1,64}|.{0,64}[*?[].{0,64})$/u, {
      expected: "a way or a glob of ways"
    })
  )
)
  .check(Schema.isMaxLength(100))
  .annotate({ expected: "a list of ways: lease, exec, env, mcp, proxy, helper:NAME, or globs of these" })

const approval = Schema.Union([
  Schema.Literal("always"),
  Setting.duration({ minimum: second, maximum: maxApprovalTime })
]).annotate({
  expected: "always, or a duration from 1s to 8h"
})

/** Every lease may have to be compared with all of them. */
const maxPolicyRules = 1000

const policyRule = section({
  secrets: globs
    .check(Schema.isMinLength(1))
    .annotate({ expected: "a list of 1 to 100 globs", description: "globs of the secrets that it is for; required" }),
  clients: limit(
    globs.check(Schema.isMinLength(1)).annotate({ expected: "a list of 1 to 100 globs" }),
    "globs of the client ids that it is for; every client if not set"
  ),
  via: limit(
    ways,
    "the ways that a value may take: lease, exec, env, mcp, proxy, helper:NAME, helper:*; every way if not set, none if empty"
  ),
  max_ttl: limit(Setting.duration(), "the maximum TTL, and the default if that is longer"),
  approval: limit(
    approval,
    "a person has to approve it: always each lease, or a duration that one yes holds; 8h at most"
  ),
  commands: limit(globs, "globs of the programs that exec, mcp and proxy may run, by name, or by path with a slash"),
  reason: limit(Setting.flag, "whether a request must give a reason; false if not set")
})

/** The list of rules. */
export const policySection = Schema.Array(policyRule)
  .check(Schema.isMaxLength(maxPolicyRules))
  .annotate({ expected: `a list of at most ${maxPolicyRules} rules, each a JSON object` })

/** Returns a rule as the policy uses it. */
export const ruleFrom = (rule: typeof policyRule.Type): PolicyRule => ({
  secrets: rule.secrets,
  clients: rule.clients,
  via: rule.via,
  maxTtl: rule.max_ttl,
  approval: rule.approval,
  commands: rule.commands,
  reason: rule.reason ?? false
})

/** Names the keys of policy rules that are none: without the key that was meant, a rule would permit more. */
export const unknownRuleKeys = (given: unknown): ReadonlyArray<string> => {
  const rules: unknown = Reflect.get(Object(given), "policy")
  if (!Array.isArray(rules)) return []
  const keys = Object.keys(policyRule.fields)
  return rules.flatMap((rule: unknown, index) =>
    Object.keys(Object(rule))
      .filter((key) => !keys.includes(key))
      .map((unknown) => {
        const meant = closestMatch(unknown, keys)
        const hint = meant === undefined ? `it has ${keys.join(", ")}` : `did you mean ${meant}?`
        return `policy[${index}].${unknown} is not a key of a rule: ${hint}`
      })
  )
}
