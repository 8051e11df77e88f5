/**
 * What is scanned: the paths that were named, or what is staged, one file after the
 * other.
 *
 * In a git repository these are the files git has or would take; elsewhere all of
 * them. A file that is named itself is scanned whatever git says of it.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { failUsage } from "../../command/CommandError.ts"
import { reasonOf } from "../../command/Output.ts"
import { printable } from "../../terminal/table.ts"
import { Blobs } from "./Blobs.ts"
import type { ListedFile } from "./files.ts"
import { listed, openForScan, walk } from "./files.ts"
import { listGitFiles, stagedFiles } from "./git.ts"
import type { Scan } from "./Scan.ts"

export interface ScanOptions {
  readonly recursive: boolean
  /** What is passed over where git does not say it. */
  readonly excluded: ReadonlySet<string>
  /** What is passed over in any case. */
  readonly alwaysExcluded: ReadonlySet<string>
  readonly askGit: boolean
}

/** Hears of each file, and may let others have their turn. */
type Step = Effect.Effect<void>

/** Scans files and directories. */
export const scanPaths = Effect.fnUntraced(function* (
  scan: Scan,
  paths: ReadonlyArray<string>,
  wanted: ScanOptions,
  step: Step
) {
  for (const named of paths) {
    const kind = kindOf(named)
    if (kind === undefined)
      return yield* failUsage(`there is no ${printable(named)} that can be scanned`, "Name files or directories")
    if (kind === "file") yield* scanFile(scan, { is: "file", path: fs.realpathSync(named) }, named)
    else yield* scanDirectory(scan, named, wanted, step)
  }
})

const kindOf = (named: string): "file" | "directory" | undefined => {
  try {
    const stat = fs.statSync(named)
    return stat.isDirectory() ? "directory" : stat.isFile() ? "file" : undefined
  } catch {
    return undefined
  }
}

const scanDirectory = Effect.fnUntraced(function* (scan: Scan, directory: string, wanted: ScanOptions, step: Step) {
  const directories = [directory]
  for (let next = directories.pop(); next !== undefined; next = directories.pop()) {
    for (const found of yield* filesIn(next, wanted)) {
      if (found.is === "repository") directories.push(found.path)
      else yield* scanFile(scan, found, found.path)
      yield* step
    }
  }
})

const filesIn = Effect.fnUntraced(function* (directory: string, wanted: ScanOptions) {
  const { alwaysExcluded, askGit, excluded, recursive } = wanted
  const list = askGit ? yield* listGitFiles(directory) : undefined
  return list === undefined
    ? walk(directory, { recursive, excluded })
    : listed(directory, list, { recursive, excluded: alwaysExcluded })
})

const scanFile = (scan: Scan, found: Exclude<ListedFile, { is: "repository" }>, shown: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const opened = found.is === "file" ? openForScan(found.path) : found.reason
    if (typeof opened === "string") {
      scan.unreadable.push({ file: shown, reason: opened })
      return Effect.void
    }
    return Effect.ensuring(scan.look(shown, opened.read), Effect.sync(opened.close))
  })

/** Scans the contents of the index, as they will be committed. */
export const scanStaged = Effect.fnUntraced(function* (
  scan: Scan,
  paths: ReadonlyArray<string>,
  excluded: ReadonlySet<string>,
  step: Step
) {
  const staged = yield* stagedFiles(".", paths)
  if (typeof staged === "string")
    return yield* failUsage(`git does not tell what is staged: ${printable(staged)}`, inRepository)
  const blobs = yield* Effect.acquireRelease(
    Effect.sync(() => new Blobs(".")),
    (opened) => Effect.sync(() => opened.close())
  )
  for (const { blob, name } of staged) {
    if (name.split("/").some((part) => excluded.has(part))) continue
    const opened = yield* Effect.match(
      Effect.tryPromise(() => blobs.open(blob)),
      { onSuccess: (isThere) => (isThere ? undefined : "git does not have it"), onFailure: (e) => reasonOf(e.cause) }
    )
    if (opened === undefined) yield* scan.look(name, (into) => blobs.read(into))
    else scan.unreadable.push({ file: name, reason: opened })
    yield* step
  }
}, Effect.scoped)

const inRepository = "Run it in a git repository; a hook does"
