/**
 * secrets cleanup: removes the env files of `secrets env` whose time is over.
 *
 * It needs no daemon: a file says itself until when it is good. What is not ours,
 * and what has no time, stays; what cannot be read or removed is told at the end.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import { parseDuration, second } from "../../../domain/GoDuration.ts"
import type { ArgsOf } from "../../command/Command.ts"
import { defineCommand } from "../../command/Command.ts"
import { managedFiles, removeIfSame, fileReplaced } from "./managedFiles.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { failUsage } from "../../command/CommandError.ts"
import type { Problem } from "../../command/Output.ts"
import { printByStream } from "../../command/Output.ts"
import { printable } from "../../terminal/table.ts"

const intervalDefault = "1m"

const flags = {
  path: { type: "string", value: "PATH", summary: "the same as the operand", completes: "file" },
  "dry-run": { type: "boolean", summary: "tell what would be removed, and remove nothing" },
  watch: { type: "boolean", summary: "go on until Ctrl-C" },
  interval: { type: "string", value: "DURATION", summary: `how often with --watch (${intervalDefault})` }
} as const

export const cleanupCommand = defineCommand({
  name: "cleanup",
  summary: "Remove env files whose secrets have expired",
  positionals: "[PATH]",
  arity: [0, 1],
  completes: "file",
  flags,
  examples: ["secrets cleanup", "secrets cleanup ~/projects --dry-run", "secrets cleanup --watch --interval 5m"],
  about: [
    "A file is removed if its name begins with .env, or a .secrets.json calls it env_file, and the comments at its top",
    "say `secrets-managed: true` and a `secrets-ttl:` that has passed. Nothing else is, nothing outside the directory,",
    "and nothing in node_modules or .git. Removed means unlinked: what a disk or a backup still has is not overwritten.",
    "",
    "Exit status: 0 done, 9 done but for what could not be read or removed, 130 after Ctrl-C."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    const root = args.positionals[0] ?? args.option("path") ?? "."
    if (!isDirectory(root))
      return yield* failUsage(`there is no directory ${printable(root)}`, "Name one: secrets cleanup PATH")
    if (args.flag("watch") && args.flag("dry-run")) {
      return yield* failUsage("--watch with --dry-run would say the same for ever", "Give one of them")
    }
    const interval = parseDuration(args.option("interval") ?? intervalDefault)
    if (Result.isFailure(interval) || interval.success < second) {
      return yield* failUsage("--interval must be a duration of at least 1s", "For instance: --interval 5m")
    }
    const round = Effect.suspend(() => clean(root, args.flag("dry-run")))
    if (args.flag("watch")) yield* watch(round, args, Duration.nanos(interval.success))
    const done = yield* round
    return {
      text: textOf(done),
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

interface Done {
  readonly dryRun: boolean
  readonly removed: ReadonlyArray<string>
  readonly failed: ReadonlyArray<{ readonly file: string; readonly reason: string }>
}

/** Removes what is over at this moment. */
const clean = Effect.fnUntraced(function* (root: string, dryRun: boolean) {
  const now = yield* Clock.currentTimeMillis
  const removed: Array<string> = []
  const failed: Array<{ readonly file: string; readonly reason: string }> = []
  for (const seen of managedFiles(root)) {
    if (seen.is === "unclear") failed.push({ file: seen.file, reason: seen.reason })
    if (seen.is === "unclear" || seen.expiresAt > now) continue
    const reason = dryRun ? undefined : removeIfSame(seen.file, seen.same)
    if (reason === undefined) removed.push(seen.file)
    else if (reason !== fileReplaced) failed.push({ file: seen.file, reason })
  }
  const done: Done = { dryRun, removed, failed }
  return done
})

/** Each round tells what it has removed, to nobody who has gone; what it could not is said once, until it is something else. */
const watch = Effect.fnUntraced(function* (
  round: Effect.Effect<Done>,
  args: ArgsOf<typeof flags>,
  pause: Duration.Duration
) {
  let said = ""
  while (true) {
    const done = yield* round
    if (done.removed.length > 0) {
      printByStream(args.flag("json") ? `${JSON.stringify({ removed: done.removed })}\n` : linesOf(done))
    }
    const problem = problemOf(done)
    const failures = problem === undefined ? "" : `secrets cleanup: ${problem.message}\n  ${problem.why}\n`
    if (failures !== said) process.stderr.write(failures)
    said = failures
    yield* Effect.sleep(pause)
  }
})

const linesOf = ({ dryRun, removed }: Done): string =>
  removed.map((file) => `${dryRun ? "would remove" : "removed"} ${printable(file)}\n`).join("")

const textOf = (done: Done): string => (done.removed.length === 0 ? "no expired env files\n" : linesOf(done))

const problemOf = ({ failed }: Done): Problem | undefined =>
  failed.length === 0
    ? undefined
    : {
        message: failed.length === 1 ? "one file was left" : `${failed.length} files were left`,
        why: failed.map(({ file, reason }) => `${printable(file)}: ${reason}`).join("\n  "),
        fix: "Remove them yourself if nobody needs them, or write them anew with: secrets env",
        code: "io_error",
        exitStatus: exitStatus.incomplete
      }

const isDirectory = (named: string): boolean => {
  try {
    return fs.statSync(named).isDirectory()
  } catch {
    return false
  }
}
