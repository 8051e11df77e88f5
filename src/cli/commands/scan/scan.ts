/**
 * secrets scan: searches files, or what is staged, for patterns of secrets and for the values
 * of the store. It prints places and types, never a secret. The values stay in the daemon;
 * without one, patterns are searched for all the same. What could not be read or compared changes the
 * exit status, so that a hook does not pass by mistake.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type ArgsOf, defineCommand, unlimited } from "../../command/Command.ts"
import { fromClient, failUsage } from "../../command/CommandError.ts"
import { givenPath } from "../readDirectory.ts"
import { scanReport } from "./report.ts"
import { ownValues } from "./ownValues.ts"
import { showProgressLine } from "../../terminal/screen.ts"
import { Scanner } from "./Scanner.ts"
import { scanPaths, scanStaged } from "./targets.ts"
import { counted } from "../../../domain/counted.ts"
import { loadClientId, loadDaemon } from "../../command/settings.ts"

/** Short, because a scan is useful without a daemon; --timeout overrides it. */
const connectTimeout = Duration.millis(500)
/** Long, because the daemon computes the fingerprints of a large store. */
const requestTimeout = Duration.seconds(30)

const repositories = [".git", ".hg", ".svn"]
/** Names to skip by default where git does not list the files. */
const defaultExcludes = ["node_modules", ...repositories]

const flags = {
  path: { type: "string", value: "PATH", summary: "the same as PATH without a flag", completes: "file" },
  staged: { type: "boolean", summary: "scan what is staged in git, for a pre-commit hook" },
  "no-recursive": { type: "boolean", summary: "do not scan subdirectories" },
  recursive: { type: "boolean" },
  exclude: { type: "string", value: "NAME,…", summary: "names of files and directories to skip" },
  "no-ignore": { type: "boolean", summary: "also scan what git ignores and what is skipped by default" },
  "own-only": { type: "boolean", summary: "search only for the values of the store" },
  "no-own": { type: "boolean", summary: "do not search for the values of the store" },
  "client-id": {
    type: "string",
    value: "ID",
    summary: "client id for the audit log (AGENT_SECRETS_CLIENT_ID, client_id of config.json, or the host name)"
  }
} as const

export const scanCommand = defineCommand({
  name: "scan",
  summary: "Find secrets in files, including the values of the store",
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
    "Searches for tokens of known issuers, private keys, assigned keys and passwords, and the values of the store, plain",
    "or encoded (base64, hex, URL, JSON). The command receives fingerprints, not values; the daemon confirms each match.",
    "Values shorter than 8 bytes are not searched for; no exit status shows that. In a git repository, tracked files and those that no .gitignore ignores are",
    `scanned; elsewhere all except ${defaultExcludes.join(", ")}. Binary files and symbolic links are skipped.`,
    "UTF-16 and UTF-32 text is decoded.",
    "A line that contains secrets-scan:allow is not reported. No secret is printed; tokens have a fingerprint.",
    "",
    "Exit status: 0 nothing found, 1 secrets found, 9 nothing found but some files could not be read, 11 nothing found but not",
    "all values of the store were searched for. --no-own does not search for them, and needs no daemon."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    if (args.flag("own-only") && args.flag("no-own")) {
      return yield* failUsage("--own-only and --no-own exclude each other", "Omit one of them")
    }
    const { notCompared, own } = yield* ownOf(args)
    const named = [...args.positionals, args.option("path") ?? []].flat()
    const paths = named.map((path) => givenPath(path))
    const excludes = args
      .option("exclude")
      ?.split(",")
      .filter((name) => name !== "")
    const isAll = args.flag("no-ignore")
    const options = {
      recursive: !args.flag("no-recursive"),
      excluded: new Set([...repositories, ...(excludes ?? (isAll ? [] : defaultExcludes))]),
      alwaysExcluded: new Set([...repositories, ...(excludes ?? [])]),
      useGit: !isAll
    }
    const scan = new Scanner({ patterns: !args.flag("own-only"), own })
    const progress = yield* showProgress(scan)
    const work = args.flag("staged")
      ? scanStaged(scan, paths, options.alwaysExcluded, progress.step)
      : scanPaths(scan, paths.length === 0 ? ["."] : paths, options, progress.step)
    yield* Effect.ensuring(Effect.andThen(work, scan.resolveOwn()), progress.done)
    if (scan.ownError !== undefined && args.flag("own-only")) return yield* fromClient(scan.ownError)
    return scanReport(scan, {
      paths: paths.length === 0 ? ["."] : paths,
      staged: args.flag("staged"),
      recursive: options.recursive,
      excludes: [...(isAll ? options.alwaysExcluded : options.excluded)],
      own,
      notCompared: scan.ownError === undefined ? notCompared : fromClient(scan.ownError)
    })
  })
})

/** Returns the engine that finds values of the store, or why there is none. */
const ownOf = Effect.fnUntraced(function* (args: ArgsOf<typeof flags>) {
  if (args.flag("no-own")) return { own: undefined, notCompared: "unwanted" as const }
  const address = yield* loadDaemon(args)
  const hasTimeout = args.option("timeout") !== undefined
  const daemon = hasTimeout ? address : { ...address, timeout: requestTimeout }
  const clientId = args.option("client-id") ?? (yield* loadClientId(args))
  const own = yield* Effect.result(ownValues(daemon, clientId, hasTimeout ? address.timeout : connectTimeout))
  if (Result.isSuccess(own)) return { own: own.success, notCompared: undefined }
  const failure = fromClient(own.failure)
  if (args.flag("own-only")) return yield* failure
  return { own: undefined, notCompared: failure }
})

/** In milliseconds: rare enough to cost nothing, and often enough for Ctrl-C to act at once. */
const progressInterval = 100

/** Shows the progress in one line of the terminal; without a terminal, only yields to other fibers. */
const showProgress = Effect.fnUntraced(function* (scan: Scanner) {
  let last = yield* Clock.currentTimeMillis
  let isShown = false
  const show = (text: string) => {
    showProgressLine(text)
    isShown = text !== ""
  }
  const step = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    if (now - last < progressInterval) return Effect.void
    last = now
    show(`${counted(scan.files, "file")}, ${(scan.bytes / 1e6).toFixed(0)} MB`)
    return Effect.yieldNow
  })
  return { step, done: Effect.sync(() => (isShown ? show("") : undefined)) }
})
