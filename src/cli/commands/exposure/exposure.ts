/**
 * secrets exposure: who was given a value, or which values clients were given and must be changed.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { call } from "../../../rpc/client/client.ts"
import { type ArgsOf, defineCommand } from "../../command/Command.ts"
import { callForSecret } from "../../command/callForSecret.ts"
import { failUsage, fromClient } from "../../command/CommandError.ts"
import { loadDaemon } from "../../command/settings.ts"
import { parseSince } from "../audit/since.ts"
import { exposedExample, listProblem, listLines } from "./exposedSecrets.ts"
import { secretExample, secretLines } from "./secretExposure.ts"

const flags = {
  "client-id": {
    type: "string",
    value: "GLOB",
    summary: "the secrets that these clients were given",
    completes: "client",
    formerly: "client"
  },
  since: {
    type: "string",
    value: "TIME",
    summary: "only what was given since a time or a duration ago: 2h, yesterday"
  },
  "before-change": { type: "boolean", summary: "with NAME: the value before the last change, and who still has it" },
  all: { type: "boolean", summary: "with NAME: each client id, as far as the log reaches, instead of groups" },
  rotate: {
    type: "boolean",
    summary: "with --client-id or --since: rotate those that are not changed, one after the other"
  },
  yes: { type: "boolean", short: "y", summary: "with --rotate: do not ask" }
} as const

const fix = "Give a NAME, --client-id GLOB or --since TIME"

/** Returns what is wrong with the arguments; undefined if nothing is. */
const mistakeIn = (args: ArgsOf<typeof flags>): readonly [message: string, fix: string] | undefined => {
  const [name] = args.positionals
  const [client, since] = [args.option("client-id"), args.option("since")]
  const isList = client !== undefined || since !== undefined
  if (name === undefined && !isList) return ["nothing to show the exposure of", fix]
  if (name !== undefined && isList) return ["NAME excludes --client-id and --since", fix]
  if (name === undefined && (args.flag("before-change") || args.flag("all")))
    return ["--before-change and --all require NAME", "For example: secrets exposure github_token --all"]
  if (name !== undefined && args.flag("rotate"))
    return ["--rotate requires --client-id or --since", "Use: secrets rotate NAME"]
  if (args.flag("yes") && !args.flag("rotate")) return ["--yes requires --rotate", "See: secrets exposure --help"]
  return undefined
}

export const exposureCommand = defineCommand({
  name: "exposure",
  summary: "Show who was given a value, or which values clients were given",
  positionals: "[NAME]",
  arity: [0, 1],
  completes: "secret",
  flags,
  examples: [
    "secrets exposure github_token",
    "secrets exposure github_token --before-change",
    "secrets exposure --client-id 'claude-code*'",
    "secrets exposure --client-id '*' --since 2h --rotate"
  ],
  about: [
    "A value counts as handed out when its lease is in the audit log. Clients that differ in a process id alone are one, such as ci/npm[42].",
    "--client-id and --since end with 1 if a value is not changed since or may be the same again, with 9 if older leases are not known, else with 0."
  ].join("\n\n"),
  run: Effect.fnUntraced(function* (args) {
    const mistake = mistakeIn(args)
    if (mistake !== undefined) return yield* failUsage(...mistake)
    const [name] = args.positionals
    const since = yield* parseSince(args.option("since"))
    const daemon = yield* loadDaemon(args)
    const now = yield* Clock.currentTimeMillis
    if (name !== undefined) {
      const params = { secret_name: name, before_change: args.flag("before-change"), each: args.flag("all") }
      const found = yield* callForSecret(daemon, "secrets.exposure", name, params, secretExample)
      return { lines: secretLines(found, params.before_change, now), result: found }
    }
    const client = args.option("client-id")
    const asked = call(daemon, "secrets.exposure", { client, since }, exposedExample)
    const found = yield* Effect.mapError(asked, fromClient)
    if (args.flag("rotate")) {
      const { rotateExposed } = yield* Effect.promise(() => import("./rotateExposed.ts"))
      return yield* rotateExposed(daemon, found, args)
    }
    return {
      lines: listLines(found, now),
      result: { client, since, ...found },
      problem: listProblem(found, client)
    }
  })
})
