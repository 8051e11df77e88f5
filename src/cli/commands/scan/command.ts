/**
 * secrets scan: looks through files, or what is staged, for what looks like a secret
 * and for the store's own values.
 *
 * It says where and what, never the secret. The values stay in the daemon; where
 * there is none, the rest is searched for all the same. What is no reason to stop is
 * told at the end, and by the exit status.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ArgsOf } from "../../command/Command.ts"
import { defineCommand, unlimited } from "../../command/Command.ts"
import type { CommandError } from "../../command/CommandError.ts"
import { fromClient, failUsage } from "../../command/CommandError.ts"
import { clientIdOf } from "../lease.ts"
import { scanReport } from "./report.ts"
import { ownValues } from "./ownValues.ts"
import { progressOf } from "./progress.ts"
import { Scan } from "./Scan.ts"
import { scanPaths, scanStaged } from "./targets.ts"
import { loadDaemon } from "../../command/settings.ts"

/** A scan is worth something without a daemon, so it does not wait long for one, unless told to. */
const patience = Duration.millis(500)
/** One that is there is waited for: it has much to do when it marks the values of a large store. */
const longPatience = Duration.seconds(30)

const repositories = [".git", ".hg", ".svn"]
/** What is passed over where git does not say what belongs to a tree. */
const usual = ["node_modules", ...repositories]

const flags = {
  path: { type: "string", value: "PATH", summary: "the same as the operand", completes: "file" },
  staged: { type: "boolean", summary: "what is staged in git, as it will be committed: for a pre-commit hook" },
  "no-recursive": { type: "boolean", summary: "leave out the directories below" },
  recursive: { type: "boolean" },
  exclude: { type: "string", value: "NAME,…", summary: "names of files and directories to pass over" },
  "no-ignore": { type: "boolean", summary: "also what git ignores, and what is passed over by default" },
  "own-only": { type: "boolean", summary: "only the values of the store" },
  "no-own": { type: "boolean", summary: "do not ask the daemon about the values of the store" },
  "client-id": { type: "string", value: "ID", summary: "who asks, for the audit log (host name)" }
} as const

export const scanCommand = defineCommand({
  name: "scan",
  summary: "Look for secrets in files, those of the store among them",
  positionals: "[PATH…]",
  arity: [0, unlimited],
  completes: "file",
  flags,
  examples: [
    "secrets scan",
    "secrets scan --staged",
    "secrets scan src config.yml --exclude fixtures",
    "secrets scan --own-only --no-ignore ~/project"
  ],
  about: [
    "Looks for tokens of known issuers, private keys, assigned keys and passwords, and the values of the store, plain",
    "or encoded (base64, hex, URL, JSON). A value is compared in the daemon and never leaves it; one shorter than 8",
    "bytes is not searched for. In a git repository the files that git has or would take are scanned; elsewhere all",
    `but ${usual.join(", ")}. Binary files and symbolic links are passed over.`,
    "A line with secrets-scan:allow in it is not reported. No secret is ever shown: of tokens there is a fingerprint.",
    "",
    "Exit status: 0 nothing found, 1 something found, 9 nothing found but some files could not be read."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    if (args.flag("own-only") && args.flag("no-own")) {
      return yield* failUsage("--own-only and --no-own leave nothing to look for", "Give one of them")
    }
    const { own, ownMissing } = yield* ownOf(args)
    const paths = [...args.positionals, ...[args.option("path")].filter((path) => path !== undefined)]
    const named = args
      .option("exclude")
      ?.split(",")
      .filter((name) => name !== "")
    const isAll = args.flag("no-ignore")
    const wanted = {
      recursive: !args.flag("no-recursive"),
      excluded: new Set([...repositories, ...(named ?? (isAll ? [] : usual))]),
      alwaysExcluded: new Set([...repositories, ...(named ?? [])]),
      askGit: !isAll
    }
    const scan = new Scan({ patterns: !args.flag("own-only"), own })
    const progress = yield* progressOf(scan)
    const work = args.flag("staged")
      ? scanStaged(scan, paths, wanted.alwaysExcluded, progress.step)
      : scanPaths(scan, paths.length === 0 ? ["."] : paths, wanted, progress.step)
    yield* Effect.ensuring(Effect.andThen(work, scan.settle(true)), progress.done)
    const lost = scan.ownLost === undefined ? undefined : fromClient(scan.ownLost)
    if (lost !== undefined && args.flag("own-only")) return yield* lost
    if (lost !== undefined) notCompared(args, "not all compared", lost)
    return scanReport(scan, {
      paths: paths.length === 0 ? ["."] : paths,
      staged: args.flag("staged"),
      recursive: wanted.recursive,
      excludes: [...(isAll ? wanted.alwaysExcluded : wanted.excluded)],
      own,
      ownMissing: ownMissing ?? lost?.message
    })
  })
})

/** What finds the values of the store, or why nothing does. */
const ownOf = Effect.fnUntraced(function* (args: ArgsOf<typeof flags>) {
  if (args.flag("no-own")) return { own: undefined, ownMissing: "--no-own was given" }
  const asked = yield* loadDaemon(args)
  const isTold = args.option("timeout") !== undefined
  const daemon = isTold ? asked : { ...asked, timeout: longPatience }
  const made = yield* Effect.result(ownValues(daemon, clientIdOf(args), isTold ? asked.timeout : patience))
  if (Result.isSuccess(made)) return { own: made.success, ownMissing: undefined }
  const failure: CommandError = fromClient(made.failure)
  if (args.flag("own-only")) return yield* failure
  notCompared(args, "not compared", failure)
  return { own: undefined, ownMissing: failure.message }
})

/** To be seen before the findings are; the envelope says it itself. */
const notCompared = (
  args: ArgsOf<typeof flags>,
  what: "not compared" | "not all compared",
  { message }: CommandError
): void => {
  if (!args.flag("json")) process.stderr.write(`secrets scan: the values of the store were ${what}: ${message}\n`)
}
