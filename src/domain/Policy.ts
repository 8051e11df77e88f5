/**
 * The policy: who may lease which secret, and through what.
 *
 * The first rule whose `secrets` and `clients` both match decides alone. Where none matches, or
 * the rule allows no way, the secret is not found. Without a policy, everything is permitted.
 * `client_id`, `via` and `program` are what a caller says about itself.
 */
import * as Schema from "effect/Schema"
import * as path from "node:path"
import { formatGoDuration, type GoDuration } from "./GoDuration.ts"
import { globCovers, globMatcher } from "./glob.ts"
import { quote } from "./goText.ts"
import type { TtlPolicy } from "./Lease.ts"
import type { Approval } from "./OpenRequest.ts"
import { SecretNotFound } from "./Secret.ts"

/** A rule of `policy` in config.json. An absent list does not limit. */
export interface PolicyRule {
  /** Globs on the name of the secret. */
  readonly secrets: ReadonlyArray<string>
  /** Globs on the client id. */
  readonly clients: ReadonlyArray<string> | undefined
  /** Globs on the ways that a value may take. */
  readonly via: ReadonlyArray<string> | undefined
  readonly maxTtl: GoDuration | undefined
  /** Globs on the programs of `exec` and `mcp`: on the path if they have a slash, else on its last part. */
  readonly commands: ReadonlyArray<string> | undefined
  /** Whether a person has to approve a lease, and how long a yes holds. */
  readonly approval: Approval | undefined
  /** Whether a request must give a reason. */
  readonly reason: boolean
}

/** The way that a value takes if a request names none: it is printed, as the predecessor's clients do. */
const printed = "lease"

/** What a request says about the use of a value. */
export interface LeaseUse {
  readonly secretName: string
  readonly clientId: string
  /** The command or protocol that takes the value: "exec", "env", "mcp", "proxy" or "helper:git"; "lease" if absent. */
  readonly via?: string
  /** The path or the name of the program that gets the value. */
  readonly program?: string
  readonly reason?: string
}

/** What the policy says. Rules are counted from 1; none decided where there is no policy or no rule matches. */
export type PolicyVerdict =
  | {
      readonly _tag: "Permitted"
      readonly rule: number | undefined
      readonly maxTtl: GoDuration | undefined
      /** What a person has to approve before. */
      readonly approval: Approval | undefined
    }
  | { readonly _tag: "Hidden"; readonly rule: number | undefined }
  | {
      readonly _tag: "Refused"
      readonly rule: number
      readonly key: "via" | "commands" | "reason"
      readonly why: string
    }

export interface Policy {
  readonly rules: ReadonlyArray<PolicyRule>
  readonly decide: (use: LeaseUse) => PolicyVerdict
}

/** A rule of the policy forbids this use of the secret. */
export class PolicyDenied extends Schema.TaggedError<PolicyDenied>()("PolicyDenied", { reason: Schema.String }) {
  override get message() {
    return `access denied: ${this.reason}`
  }
}

const permitted: PolicyVerdict = { _tag: "Permitted", rule: undefined, maxTtl: undefined, approval: undefined }

/** Decides everything where there is no policy. */
export const noPolicy: Policy = { rules: [], decide: () => permitted }

/** Compiles the rules once; a decision takes time in proportion to their number. */
export const makePolicy = (rules: ReadonlyArray<PolicyRule>): Policy => {
  const compiled = rules.map((rule, index) => ({
    rule,
    number: index + 1,
    isOfSecret: anyOf(rule.secrets),
    isOfClient: anyOf(rule.clients),
    isWay: anyOf(rule.via),
    isCommand: anyOf(rule.commands, matchesProgram)
  }))
  return {
    rules,
    decide: ({ clientId, program = "", reason = "", secretName, via = printed }) => {
      const found = compiled.find(({ isOfClient, isOfSecret }) => isOfSecret(secretName) && isOfClient(clientId))
      if (found === undefined) return { _tag: "Hidden", rule: undefined }
      const { isCommand, isWay, number, rule } = found
      if (rule.via?.length === 0) return { _tag: "Hidden", rule: number }
      const refused = (key: "via" | "commands" | "reason", why: string): PolicyVerdict => ({
        _tag: "Refused",
        rule: number,
        key,
        why: `${quote(secretName)} ${why} (policy rule ${number})`
      })
      if (!isWay(via)) return refused("via", `may not be ${wayText(via)}, only used by ${rule.via?.join(", ")}`)
      if (runsProgram(via) && !isCommand(program)) {
        if (program === "") return refused("commands", "is only for programs, and none is named")
        return refused("commands", `may not be given to ${quote(path.basename(program))}`)
      }
      if (rule.reason && reason === "") return refused("reason", "needs a reason")
      return { _tag: "Permitted", rule: number, maxTtl: rule.maxTtl, approval: rule.approval }
    }
  }
}

/** Returns the error of a use that is not permitted, and what the audit log has of it; undefined if it is permitted. */
export const policyRefusal = (verdict: PolicyVerdict, secretName: string) => {
  if (verdict._tag === "Permitted") return undefined
  if (verdict._tag === "Refused") {
    return { error: new PolicyDenied({ reason: verdict.why }), details: `policy rule ${verdict.rule}: ${verdict.key}` }
  }
  const details = verdict.rule === undefined ? "no policy rule permits it" : `policy rule ${verdict.rule}: hidden`
  return { error: new SecretNotFound({ name: secretName }), details }
}

/** Returns whether a secret does not exist for a client. */
export const isHidden = (policy: Policy, secretName: string, clientId: string): boolean =>
  policy.decide({ secretName, clientId })._tag === "Hidden"

/** Returns the error of a TTL that the rule of a verdict forbids and the daemon would permit; undefined for others. */
export const ttlRefusal = (verdict: PolicyVerdict, secretName: string, requested: GoDuration, limits: TtlPolicy) => {
  if (verdict._tag !== "Permitted" || verdict.maxTtl === undefined || requested > limits.maximum) return undefined
  const most = formatGoDuration(verdict.maxTtl)
  return {
    error: new PolicyDenied({
      reason: `${quote(secretName)} may be leased for at most ${most} (policy rule ${verdict.rule})`
    }),
    details: `policy rule ${verdict.rule}: max_ttl`
  }
}

/** Returns the limits of the TTL under a verdict. */
export const ttlWithin = (limits: TtlPolicy, verdict: PolicyVerdict): TtlPolicy => {
  const most = verdict._tag === "Permitted" ? verdict.maxTtl : undefined
  if (most === undefined) return limits
  const least = (limit: GoDuration) => (limit < most ? limit : most)
  return { default: least(limits.default), maximum: least(limits.maximum) }
}

/** A rule that never decides, and the rules before it that decide in its place. */
export interface UnreachableRule {
  readonly rule: number
  readonly coveredBy: ReadonlyArray<number>
}

/** Finds the rules that can never apply, because earlier ones match all that they match. */
export const unreachableRules = (rules: ReadonlyArray<PolicyRule>): ReadonlyArray<UnreachableRule> =>
  rules.flatMap((rule, index) => {
    const covering = new Set<number>()
    const isCovered = (secret: string, client: string) => {
      const earlier = rules
        .slice(0, index)
        .findIndex(({ clients = ["*"], secrets }) => covers(secrets, secret) && covers(clients, client))
      if (earlier >= 0) covering.add(earlier + 1)
      return earlier >= 0
    }
    const all = rule.secrets.every((secret) => (rule.clients ?? ["*"]).every((client) => isCovered(secret, client)))
    return all ? [{ rule: index + 1, coveredBy: [...covering].toSorted((a, b) => a - b) }] : []
  })

const covers = (globs: ReadonlyArray<string>, glob: string): boolean => globs.some((wider) => globCovers(wider, glob))

/** Returns whether the policy asks which program gets the value. Others only say which one called them. */
const runsProgram = (via: string): boolean => via === "exec" || via === "mcp" || via === "proxy"

const wayText = (via: string): string =>
  via === printed ? "printed" : via === "env" ? "written to a file" : `used by ${via}`

type Matcher = (text: string) => boolean

const anyOf = (globs: ReadonlyArray<string> | undefined, make: (glob: string) => Matcher = globMatcher): Matcher => {
  const matchers = globs?.map(make)
  return matchers === undefined ? () => true : (text) => matchers.some((matches) => matches(text))
}

const matchesProgram = (glob: string): Matcher => {
  const matches = globMatcher(glob)
  return glob.includes("/") ? matches : (program) => matches(path.basename(program))
}
