/**
 * The policy: the first rule that matches decides alone, each of its keys limits, and rules
 * that can never apply are found.
 */
import { assert, describe, it } from "@effect/vitest"
import { minute } from "../../src/domain/GoDuration.ts"
import { defaultTtlPolicy } from "../../src/domain/Lease.ts"
import {
  makePolicy,
  noPolicy,
  policyRefusal,
  type PolicyRule,
  ttlWithin,
  unreachableRules
} from "../../src/domain/Policy.ts"

const rule = (given: Partial<PolicyRule>): PolicyRule => ({
  secrets: ["*"],
  clients: undefined,
  via: undefined,
  maxTtl: undefined,
  commands: undefined,
  approval: undefined,
  reason: false,
  ...given
})

const decide = (rules: ReadonlyArray<Partial<PolicyRule>>, use: object = {}) =>
  makePolicy(rules.map(rule)).decide({ secretName: "db", clientId: "ci", ...use })

const outcome = (rules: ReadonlyArray<Partial<PolicyRule>>, use: object = {}) => {
  const verdict = decide(rules, use)
  return verdict._tag === "Refused" ? verdict.key : verdict._tag
}

describe("a policy", () => {
  it("that is absent permits everything, and an empty one nothing", () => {
    assert.strictEqual(noPolicy.decide({ secretName: "db", clientId: "ci" })._tag, "Permitted")
    assert.strictEqual(outcome([]), "Hidden")
  })

  it.each<[string, Partial<PolicyRule>, object, string]>([
    ["another secret", { secrets: ["mail*"] }, {}, "Hidden"],
    ["one of several globs", { secrets: ["mail", "d?"] }, {}, "Permitted"],
    ["another client", { clients: ["deploy", "deploy/*"] }, {}, "Hidden"],
    ["a client below one", { clients: ["ci", "ci/*"] }, { clientId: "ci/npm[7]" }, "Permitted"],
    ["no way at all", { via: [] }, { via: "exec" }, "Hidden"],
    ["printing, which is what an absent via means", { via: ["exec", "helper:*"] }, {}, "via"],
    ["another way", { via: ["exec", "helper:*"] }, { via: "env" }, "via"],
    ["one of the ways", { via: ["exec", "helper:*"] }, { via: "helper:git" }, "Permitted"],
    ["another program", { commands: ["gh", "git"] }, { via: "exec", program: "/usr/bin/curl" }, "commands"],
    ["a program by its name", { commands: ["gh", "git"] }, { via: "exec", program: "/opt/x/git" }, "Permitted"],
    ["a program by its path", { commands: ["/usr/bin/*"] }, { via: "mcp", program: "/usr/bin/git" }, "Permitted"],
    [
      "a program of that name elsewhere",
      { commands: ["/usr/bin/*"] },
      { via: "exec", program: "/tmp/git" },
      "commands"
    ],
    ["no program", { commands: ["git"] }, { via: "exec" }, "commands"],
    ["a program that only calls a helper", { commands: ["git"] }, { via: "helper:git", program: "sh" }, "Permitted"],
    ["no reason", { reason: true }, {}, "reason"],
    ["a reason", { reason: true }, { reason: "deploy 12" }, "Permitted"]
  ])("for %s", (_, given, use, expected) => {
    assert.strictEqual(outcome([given], use), expected)
  })

  it("asks the first rule that matches, and no other", () => {
    const rules = [{ secrets: ["db"], via: ["exec"] }, { secrets: ["*"] }]
    assert.strictEqual(outcome(rules), "via")
    assert.strictEqual(outcome(rules, { secretName: "mail" }), "Permitted")
    assert.strictEqual(decide(rules, { secretName: "mail" }).rule, 2)
  })

  it("says why in words, and says of a hidden secret what it says of none", () => {
    const refused = policyRefusal(decide([{ via: ["exec", "helper:aws"] }]), "db")
    assert.strictEqual(
      refused?.error.message,
      'access denied: "db" may not be printed, only used by exec, helper:aws (policy rule 1)'
    )
    assert.strictEqual(refused?.details, "policy rule 1: via")
    const hidden = policyRefusal(decide([]), "db")
    assert.strictEqual(hidden?.error._tag, "SecretNotFound")
    assert.strictEqual(hidden?.details, "no policy rule permits it")
  })

  it("lowers the TTL to that of the rule, the default as well", () => {
    const at = (maxTtl: bigint) => ttlWithin(defaultTtlPolicy, decide([{ maxTtl }]))
    assert.deepStrictEqual(at(15n * minute), { default: 15n * minute, maximum: 15n * minute })
    assert.deepStrictEqual(at(120n * minute), { default: 60n * minute, maximum: 120n * minute })
    assert.deepStrictEqual(at(9000n * minute), defaultTtlPolicy)
  })
})

describe("unreachableRules", () => {
  it.each<[string, ReadonlyArray<Partial<PolicyRule>>, ReadonlyArray<number>]>([
    ["none of rules that differ", [{ secrets: ["a*"] }, { secrets: ["b*"] }, {}], []],
    ["everything after a rule for all", [{}, { secrets: ["a"] }, { clients: ["x"] }], [2, 3]],
    ["a name below a glob", [{ secrets: ["prod_*"] }, { secrets: ["prod_db", "prod_?"] }], [2]],
    ["no glob that is wider in part", [{ secrets: ["prod_*"] }, { secrets: ["prod_db", "p*"] }], []],
    ["a rule covered by two together", [{ secrets: ["a*"] }, { secrets: ["b*"] }, { secrets: ["ax", "b*"] }], [3]],
    ["no rule for other clients", [{ clients: ["ci"] }, { clients: ["ci*"] }], []],
    ["a set that is the same", [{ secrets: ["[a-c]*"] }, { secrets: ["[a-c]x"] }, { secrets: ["bx"] }], [2, 3]]
  ])("finds %s", (_, rules, expected) => {
    assert.deepStrictEqual(
      unreachableRules(rules.map(rule)).map(({ rule: number }) => number),
      expected
    )
  })

  it("names the rules that decide in its place", () => {
    const [found] = unreachableRules([
      rule({ secrets: ["b"] }),
      rule({ secrets: ["a*"] }),
      rule({ secrets: ["ab", "b"] })
    ])
    assert.deepStrictEqual(found, { rule: 3, coveredBy: [1, 2] })
  })
})
