/**
 * secrets cleanup: removes env files written by `secrets env` whose secrets have
 * expired.
 *
 * It needs no daemon: each managed file states its expiry. Files without that header
 * or an expiry stay. What cannot be read or removed is reported at the end.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { counted } from "../../../domain/counted.ts"
import { escapeValue, escapeJson } from "../../../domain/escape.ts"
import { parseSpelledDuration, second } from "../../../domain/GoDuration.ts"
import { type ArgsOf, defineCommand } from "../../command/Command.ts"
import { givenPath, statPath } from "../readDirectory.ts"
import { managedFiles, removeIfSame, fileReplaced } from "./managedFiles.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { failUsage } from "../../command/CommandError.ts"
import { type Problem, streamLines, printNotice } from "../../command/Output.ts"
import { sleepFor } from "../../../process/sleepUntil.ts"

const defaultInterval = "1m"

const flags = {
  path: { type: "string", value: "PATH", summary: "the same as the PATH argument", completes: "file" },
  all: { type: "boolean", summary: "also those whose secrets have not expired, as after secrets revoke --all" },
  "dry-run": { type: "boolean", summary: "print what would be removed, and remove nothing" },
  watch: { type: "boolean", summary: "repeat until Ctrl-C" },
  interval: { type: "string", value: "DURATION", summary: `with --watch: time between runs (${defaultInterval})` }
} as const

export const cleanupCommand = defineCommand({
  name: "cleanup",
  summary: "Remove env files whose secrets have expired",
  positionals: "[PATH]",
  arity: [0, 1],
  completes: "file",
  flags,
  examples: [
    "secrets cleanup",
    "secrets cleanup ~/projects --dry-run",
    "secrets cleanup ~/projects --all",
    "secrets cleanup --watch --interval 5m"
  ],
  about: [
    "Removes files below PATH that secrets env or secrets inject wrote, when their secrets have expired. The comments at the top",
    "say so: `secrets-managed: true`, and a `secrets-ttl:`. Of a format without comments, the state directory has a record, until",
    "the file is changed. Skips node_modules and .git.",
    "A revoked lease does not shorten that time; --all removes these files at once.",
    "No lease ends with its file: secrets revoke does that.",
    "The file is unlinked, not overwritten: disk blocks and backups may still hold the values.",
    "",
    "Exit status: 0 done, 9 some files could not be read or removed, 130 after Ctrl-C."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    const root = givenPath(args.positionals[0] ?? args.option("path") ?? ".")
    if (!isDirectory(root)) {
      return yield* failUsage(`not a directory: ${escapeValue(root)}`, "Name one: secrets cleanup PATH")
    }
    if (args.flag("watch") && args.flag("dry-run")) {
      return yield* failUsage("--watch and --dry-run exclude each other", "Use one of them")
    }
    if (args.option("interval") !== undefined && !args.flag("watch")) {
      return yield* failUsage("--interval requires --watch", "Add --watch, or omit it")
    }
    const interval = parseSpelledDuration(args.option("interval") ?? defaultInterval)
    if (Result.isFailure(interval) || interval.success < second) {
      return yield* failUsage("--interval must be a duration of at least 1s", "For example: --interval 5m")
    }
    if (args.flag("watch") && args.flag("all")) {
      return yield* failUsage("--watch and --all exclude each other", "Use one of them")
    }
    const round = Effect.suspend(() => clean(root, args.flag("dry-run"), args.flag("all")))
    if (args.flag("watch")) yield* watch(round, args, Duration.nanos(interval.success))
    const done = yield* round
    return {
      lines: linesOrNone(done, args.flag("all")),
      result: {
        path: root,
        dry_run: done.dryRun,
        removed: done.removed,
        count: done.removed.length,
        failed: done.failed
      },
      problem: problemOf(done)
    }
  })
})

interface FailedFile {
  readonly file: string
  readonly reason: string
}

interface Done {
  readonly dryRun: boolean
  readonly removed: ReadonlyArray<string>
  readonly failed: ReadonlyArray<FailedFile>
}

/** Removes the files that have expired by now, or all of them. */
const clean = Effect.fnUntraced(function* (root: string, dryRun: boolean, all: boolean) {
  const now = yield* Clock.currentTimeMillis
  const removed: Array<string> = []
  const failed: Array<FailedFile> = []
  for (const seen of managedFiles(root)) {
    if (seen.is === "unclear") failed.push({ file: seen.file, reason: seen.reason })
    if (seen.is === "unclear" || (!all && seen.expiresAt > now)) continue
    const reason = dryRun ? undefined : removeIfSame(seen.file, seen.same)
    if (reason === undefined) removed.push(seen.file)
    else if (reason !== fileReplaced) failed.push({ file: seen.file, reason })
  }
  return { dryRun, removed, failed } satisfies Done
})

/** Prints what each round removed, and its failures when they differ from those of the round before. */
const watch = Effect.fnUntraced(function* (
  round: Effect.Effect<Done>,
  args: ArgsOf<typeof flags>,
  pause: Duration.Duration
) {
  let reported = ""
  while (true) {
    const done = yield* round
    if (done.removed.length > 0) {
      streamLines(args.flag("json") ? [escapeJson(JSON.stringify({ removed: done.removed }))] : linesOf(done))
    }
    const problem = problemOf(done)
    const failures = done.failed.map(reasonOfFailure)
    if (failures.join("\n") !== reported && problem !== undefined) {
      for (const line of [`secrets cleanup: ${problem.message}`, ...failures.map((one) => `  ${one}`)])
        printNotice(line)
    }
    reported = failures.join("\n")
    yield* sleepFor(pause)
  }
})

const linesOf = ({ dryRun, removed }: Done): ReadonlyArray<string> =>
  removed.map((file) => `${dryRun ? "would remove" : "removed"} ${escapeValue(file)}`)

const linesOrNone = (done: Done, all: boolean): ReadonlyArray<string> =>
  done.removed.length === 0 ? [all ? "no env files of secrets env" : "no expired env files"] : linesOf(done)

const reasonOfFailure = ({ file, reason }: FailedFile): string => `${escapeValue(file)}: ${reason}`

const problemOf = ({ failed }: Done): Problem | undefined =>
  failed.length === 0
    ? undefined
    : {
        message: `${counted(failed.length, "file", "was")} not removed`,
        why: failed.map(reasonOfFailure),
        fix: "Remove them by hand, or replace them with: secrets env --force",
        code: "io_error",
        exitStatus: exitStatus.incomplete
      }

const isDirectory = (named: string): boolean => {
  try {
    return statPath(named).isDirectory()
  } catch {
    return false
  }
}
