/**
 * secrets policy: asks the daemon what its policy says about a use, and finds rules of
 * config.json that can never apply.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { unreachableRules } from "../../../domain/Policy.ts"
import { call } from "../../../rpc/client/client.ts"
import { optional } from "../../../domain/shape.ts"
import { type ArgsOf, defineCommand } from "../../command/Command.ts"
import { CommandError, failUsage, fromClient } from "../../command/CommandError.ts"
import { reasonFlag } from "../../command/leaseOrigin.ts"
import type { Output } from "../../command/Output.ts"
import { configError, readSettings } from "../../command/settingsFile.ts"
import { loadClientId, loadConfig, loadDaemon } from "../../command/settings.ts"
import { protocols } from "../helper/protocols.ts"
import { unsafePath } from "../../../process/pathOwners.ts"
import { programPath } from "../../../process/programPath.ts"

const ways = ["lease", "exec", "env", "mcp", "proxy", ...Object.keys(protocols).map((name) => `helper:${name}`)]

const flags = {
  "client-id": { type: "string", value: "ID", summary: "explain: the client that asks", completes: "client" },
  via: {
    type: "string",
    value: "WAY",
    summary: "explain: lease, exec, env, mcp, proxy or helper:NAME (lease)",
    completes: ways
  },
  command: {
    type: "string",
    value: "PROGRAM",
    summary: "explain: the program that gets the value; implies --via exec"
  },
  reason: reasonFlag
} as const

type PolicyArgs = ArgsOf<typeof flags>

const verdictExample = {
  verdict: "",
  rule: optional(0),
  rules: 0,
  why: optional(""),
  max_ttl: optional(""),
  approval: optional(""),
  approval_state: optional("")
}

const explain = Effect.fnUntraced(function* (args: PolicyArgs, name: string | undefined) {
  if (name === undefined) return yield* failUsage("explain has no secret", "For example: secrets policy explain NAME")
  const via = args.option("via")
  if (via !== undefined && !ways.includes(via)) {
    return yield* failUsage(`--via ${JSON.stringify(via)} is no way that a value takes`, `The ways: ${ways.join(", ")}`)
  }
  const program = args.option("command")
  const asked = {
    secret_name: name,
    client_id: args.option("client-id") ?? (yield* loadClientId(args)),
    via: via ?? (program === undefined ? "lease" : "exec"),
    program: program === undefined ? "" : programPath(program),
    reason: args.option("reason") ?? ""
  }
  const daemon = yield* loadDaemon(args)
  const said = yield* Effect.mapError(call(daemon, "secrets.explainPolicy", asked, verdictExample), fromClient)
  const place = said.rule === undefined ? "" : ` (rule ${said.rule} of ${said.rules})`
  const line =
    said.rules === 0 && said.verdict === "permitted"
      ? "permitted: the daemon has no policy"
      : said.verdict === "permitted"
        ? `permitted for at most ${said.max_ttl}${place}${approvalText(said)}`
        : said.verdict === "hidden"
          ? `not found: ${said.why}`
          : `refused: ${said.why}`
  const caution = "client id, way and program are what a caller says: on one account this guides, and is no wall"
  return {
    lines: [`${escapeValue(name)} for ${escapeValue(asked.client_id)} via ${escapeValue(asked.via)}`, line, caution],
    result: { ...said, ...asked }
  } satisfies Output
})

/** Says that a person has to approve it, and whether one has. */
const approvalText = ({
  approval,
  approval_state: state
}: {
  approval: string | undefined
  approval_state: string | undefined
}) =>
  approval === undefined ? "" : `, if a person approves it ${approval}${state === "granted" ? ", as one has" : ""}`

const check = Effect.fnUntraced(function* (args: PolicyArgs, more: string | undefined) {
  if (more !== undefined) return yield* failUsage("check takes no name", "See: secrets policy --help")
  const { policy } = yield* loadConfig(args)
  if (policy === undefined)
    return { lines: ["config.json has no policy: every client may lease every secret"], result: { rules: 0 } }
  const settings = readSettings(args)
  const unsafe = "file" in settings ? unsafePath(path.resolve(settings.file)) : undefined
  if (unsafe !== undefined)
    return yield* new CommandError(configError(`the daemon refuses this policy: ${unsafe.reason}`, unsafe.fix))
  if (policy.length === 0) {
    return yield* new CommandError({
      message: "the policy has no rule: no client may lease anything",
      code: "data_error",
      fix: 'Add rules, or remove "policy" to permit everything',
      exitStatus: exitStatus.failed
    })
  }
  const unreachable = unreachableRules(policy)
  if (unreachable.length > 0) {
    return yield* new CommandError({
      message: `${unreachable.map(({ rule }) => `rule ${rule}`).join(", ")} can never apply`,
      why: unreachable.map(({ coveredBy, rule }) => `rule ${rule} is covered by ${coveredBy.join(", ")}`).join("; "),
      code: "data_error",
      fix: "Move them before the rules that cover them, or remove them",
      exitStatus: exitStatus.failed
    })
  }
  const open = policy.flatMap(({ commands, via }, index) =>
    commands !== undefined && via === undefined ? [index + 1] : []
  )
  const warnings = open.map((rule) => `rule ${rule} has commands and no via: lease and env still give the value`)
  return { lines: [`rules: ${policy.length}; each can apply`, ...warnings], result: { rules: policy.length, open } }
})

export const policyCommand = defineCommand({
  name: "policy",
  summary: "Explain what the policy says about a use, or check its rules",
  positionals: "explain NAME | check",
  arity: [1, 2],
  completes: ["explain", "check"],
  completesNext: "secret",
  flags,
  examples: [
    "secrets policy check",
    "secrets policy explain github_token --client-id codex",
    "secrets policy explain github_token --command git"
  ],
  about: [
    "The policy is the list `policy` of config.json: the first rule whose secrets and clients match decides alone.",
    "The daemon reads it at its start and at SIGHUP."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    const [subcommand = "", name] = args.positionals
    if (subcommand === "explain") return yield* explain(args, name)
    if (subcommand === "check") return yield* check(args, name)
    return yield* failUsage(`unknown subcommand ${JSON.stringify(subcommand)}`, "See: secrets policy --help")
  })
})
