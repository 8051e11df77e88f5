/**
 * secrets allow: trusts project files, or lists those that are trusted.
 *
 * It asks nothing: the command is the consent. It prints what each file asks for.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { escapeValue } from "../../../domain/escape.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { projectFileName, type TrustedProject } from "../../../domain/ProjectTrust.ts"
import { type ArgsOf, defineCommand } from "../../command/Command.ts"
import { CommandError, failUsage, workingDirectory } from "../../command/CommandError.ts"
import { type Problem, reasonOf } from "../../command/Output.ts"
import { loadConfig } from "../../command/settings.ts"
import { table } from "../../terminal/table.ts"
import { skippedDirectories } from "../cleanup/managedFiles.ts"
import { allowProject } from "./allowProject.ts"
import { findProject, readProject, rejectForeign, shellWord, useForeign } from "./findProject.ts"
import { summaryOf } from "./plan.ts"
import { type Recorder, recorderFor } from "./recordTrust.ts"
import { loadTrustList } from "./trustList.ts"

const flags = {
  list: { type: "boolean", summary: "print the trusted project files, and those that have changed since" },
  recursive: { type: "boolean", short: "r", summary: "trust every project file below PATH" },
  "dry-run": { type: "boolean", summary: "print what would be trusted, and trust nothing" }
} as const

export const allowCommand = defineCommand({
  name: "allow",
  summary: "Trust a project file, so that exec and env use it without asking",
  positionals: "[PATH]",
  arity: [0, 1],
  completes: "file",
  flags,
  examples: [
    "secrets allow",
    "secrets allow ~/projects/site",
    "secrets allow -r ~/projects --dry-run",
    "secrets allow --list"
  ],
  about: [
    "PATH is a .secrets.json or its directory; without it, the nearest file from the working directory upwards.",
    "Trusted is exactly what is there now: after a change, or in another place, exec and env ask again, or reject it",
    "without a terminal. The list is yours alone, in ~/.agent-secrets/trusted.json. The daemon records each decision.",
    "With --recursive, node_modules, .git and links are skipped, and files that belong to others are not trusted.",
    "",
    "Exit status: 0 done, 9 some files could not be trusted."
  ].join("\n"),
  run: Effect.fnUntraced(function* (args) {
    if (args.flag("list")) {
      if (args.positionals.length > 0 || args.flag("recursive") || args.flag("dry-run"))
        return yield* failUsage("--list takes no PATH and no other flag", "Use: secrets allow --list")
      return yield* listTrusted(args)
    }
    const recorder = yield* recorderFor(args)
    const isDry = args.flag("dry-run")
    const [named] = args.positionals
    if (!args.flag("recursive")) {
      const project = yield* findProject(yield* workingDirectory, named, "name it: secrets allow PATH")
      yield* rejectForeign(project, named)
      if (!isDry) yield* allowProject(recorder, project)
      const { file, hash } = project
      const onlyNamed = `exec and env take it only if it is named, because it belongs to or is writable by another user`
      return {
        lines: [
          lineOf(isDry, file, summaryOf(project, recorder.clientId)),
          ...(project.isForeign ? [`${onlyNamed}: --project ${shellWord(file)}`] : []),
          ...(project.isOpen ? [useForeign(project)] : [])
        ],
        result: { dry_run: isDry, trusted: [{ path: file, hash }], failed: [] }
      }
    }
    return yield* allowBelow(recorder, named ?? ".", isDry)
  })
})

const lineOf = (isDry: boolean, file: string, summary: string): string =>
  `${isDry ? "would trust" : "trusted"} ${escapeValue(file)}: ${summary}`

/** Trusts every project file below a directory. A daemon that cannot record one ends it. */
const allowBelow = Effect.fnUntraced(function* (recorder: Recorder, named: string, isDry: boolean) {
  const { failed, files } = yield* Effect.try({
    try: () => projectFilesBelow(fs.realpathSync.native(named)),
    catch: (cause) =>
      failUsage(`cannot read ${escapeValue(named)} (${reasonOf(cause)})`, "Name a directory: secrets allow -r DIR")
  })
  const trusted: Array<Pick<TrustedProject, "hash" | "path">> = []
  const lines: Array<string> = []
  for (const found of files) {
    const read = yield* Effect.result(readProject(found))
    if (Result.isFailure(read) || read.success.isForeign) {
      const reason = Result.isFailure(read) ? [read.failure.why ?? read.failure.message].flat() : [foreign]
      failed.push({ path: found, reason: reason.join("; ") })
      continue
    }
    if (!isDry) yield* allowProject(recorder, read.success)
    const { file, hash } = read.success
    trusted.push({ path: file, hash })
    lines.push(lineOf(isDry, file, summaryOf(read.success, recorder.clientId)))
  }
  if (files.length === 0) lines.push(`no ${projectFileName} below ${escapeValue(named)}`)
  return { lines, result: { dry_run: isDry, trusted, failed }, problem: problemOf(failed) }
})

const foreign = "it belongs to or is writable by another user; name it alone to trust it"

interface Failed {
  readonly path: string
  readonly reason: string
}

const problemOf = (failed: ReadonlyArray<Failed>): Problem | undefined =>
  failed.length === 0
    ? undefined
    : {
        message: `${failed.length} could not be trusted`,
        why: failed.map((one) => `${escapeValue(one.path)}: ${one.reason}`),
        fix: "Correct them, then run it again",
        code: "io_error",
        exitStatus: exitStatus.incomplete
      }

/** Finds project files, and directories that cannot be read. Links are not followed. */
const projectFilesBelow = (root: string) => {
  const [files, failed, waiting] = [Array<string>(), Array<Failed>(), [root]]
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    let entries: ReadonlyArray<fs.Dirent> = []
    try {
      entries = fs.readdirSync(directory, { withFileTypes: true })
    } catch (error) {
      if (directory === root) throw error
      failed.push({ path: directory, reason: reasonOf(error) })
    }
    for (const entry of entries) {
      const found = path.join(directory, entry.name)
      if (entry.isDirectory() && !skippedDirectories.has(entry.name)) waiting.push(found)
      if (entry.isFile() && entry.name === projectFileName) files.push(found)
    }
  }
  return { files: files.toSorted(), failed }
}

const listTrusted = Effect.fnUntraced(function* (args: ArgsOf<typeof flags>) {
  const { trustedProjects } = yield* loadConfig(args)
  const entries = yield* Effect.forEach(yield* loadTrustList, (entry) =>
    Effect.map(Effect.result(readProject(entry.path)), (read) => ({ ...entry, state: stateOf(entry, read) }))
  )
  const rows = [
    ...entries.map((entry) => [entry.state, entry.allowed_at, entry.path]),
    ...trustedProjects.map((directory) => ["trusted_projects", "", directory])
  ]
  return {
    lines:
      rows.length === 0 ? ["no project is trusted"] : table(["STATE", "ALLOWED", "PATH"], rows, { whole: ["PATH"] }),
    result: { trusted: entries, trusted_projects: trustedProjects }
  }
})

const stateOf = (
  { hash, path: file }: TrustedProject,
  read: Result.Result<{ readonly hash: string }, CommandError>
) => {
  if (Result.isSuccess(read)) return read.success.hash === hash ? "trusted" : "changed"
  return fs.existsSync(file) ? "changed" : "missing"
}
