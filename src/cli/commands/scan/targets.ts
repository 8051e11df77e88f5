/**
 * Scans the named paths, or what is staged.
 *
 * In a git repository, the files that are tracked or not ignored are scanned; elsewhere all
 * of them. A file that is named itself is always scanned.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { escapeValue } from "../../../domain/escape.ts"
import type { GitMessage } from "../../../process/git.ts"
import { fileErrorText } from "../../../domain/systemError.ts"
import { CommandError, failUsage, workingDirectory } from "../../command/CommandError.ts"
import { reasonOf, usageError } from "../../command/Output.ts"
import { realPath, statPath } from "../readDirectory.ts"
import { type ListedFile, listed, openForScan, walk } from "./files.ts"
import type { Scanner } from "./Scanner.ts"

export interface ScanOptions {
  readonly recursive: boolean
  /** Names to skip where git does not list the files. */
  readonly excluded: ReadonlySet<string>
  /** Names to skip in any case. */
  readonly alwaysExcluded: ReadonlySet<string>
  readonly useGit: boolean
}

/** Loads what runs git. It is slow to load, and a scan of files that are named needs none of it. */
const loadGit = Effect.promise(() => import("./git.ts"))

/** Runs after each file: shows the progress, and yields to other fibers. */
type Step = Effect.Effect<void>

export const scanPaths = Effect.fnUntraced(function* (
  scan: Scanner,
  paths: ReadonlyArray<string>,
  options: ScanOptions,
  step: Step
) {
  for (const named of paths) {
    // In a removed directory there is nothing to find.
    if (!path.isAbsolute(named)) yield* workingDirectory
    const kind = kindOf(named)
    if (kind === undefined)
      return yield* failUsage(`cannot scan ${escapeValue(named)}: ${whyNot(named)}`, "Name files or directories")
    if (kind === "file") yield* scanFile(scan, { kind, path: realPath(named) }, named)
    else yield* scanDirectory(scan, named, options, step)
  }
})

const kindOf = (named: string): "file" | "directory" | undefined => {
  try {
    const stat = statPath(named)
    return stat.isDirectory() ? "directory" : stat.isFile() ? "file" : undefined
  } catch {
    return undefined
  }
}

const whyNot = (named: string): string => {
  try {
    statPath(named)
    return "it is neither a file nor a directory"
  } catch (cause) {
    return fileErrorText(cause)
  }
}

const scanDirectory = Effect.fnUntraced(function* (scan: Scanner, directory: string, options: ScanOptions, step: Step) {
  const directories = [directory]
  for (let next = directories.pop(); next !== undefined; next = directories.pop()) {
    for (const found of yield* filesIn(scan, next, options)) {
      if (found.kind === "repository") directories.push(found.path)
      else yield* scanFile(scan, found, found.path)
      yield* step
    }
  }
})

const filesIn = Effect.fnUntraced(function* (scan: Scanner, directory: string, options: ScanOptions) {
  const { alwaysExcluded, excluded, recursive, useGit } = options
  const list = useGit ? yield* (yield* loadGit).listGitFiles(directory) : undefined
  if (list instanceof Uint8Array) return listed(directory, list, { recursive, excluded: alwaysExcluded })
  if (list !== undefined) scan.unlisted.push({ file: directory, reason: list[0] })
  return walk(directory, { recursive, excluded })
})

const scanFile = (
  scan: Scanner,
  found: Exclude<ListedFile, { kind: "repository" }>,
  shown: string
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const opened = found.kind === "file" ? openForScan(found.path) : found.reason
    if (typeof opened === "string") {
      scan.unreadable.push({ file: shown, reason: opened })
      return Effect.void
    }
    return Effect.ensuring(scan.scanFile(shown, opened.read), Effect.sync(opened.close))
  })

/** Scans the contents of the index, as they will be committed. */
export const scanStaged = Effect.fnUntraced(function* (
  scan: Scanner,
  paths: ReadonlyArray<string>,
  excluded: ReadonlySet<string>,
  step: Step
) {
  yield* workingDirectory
  const { listStagedFiles, openBlobs } = yield* loadGit
  const found = yield* listStagedFiles(".", paths)
  if (!("staged" in found)) return yield* cannotListStaged(found)
  const files = found.staged.filter(({ name }) => !name.split("/").some((part) => excluded.has(part)))
  const ids = files.map(({ blob }) => blob)
  const blobs = yield* Effect.mapError(openBlobs(".", ids), () => failUsage("git cannot be run", inRepository))
  for (const { name } of files) {
    const failure = yield* Effect.match(
      Effect.tryPromise(() => blobs.next()),
      { onSuccess: (exists) => (exists ? undefined : "git does not have it"), onFailure: (e) => reasonOf(e.cause) }
    )
    if (failure === undefined) yield* scan.scanFile(name, (into) => blobs.read(into))
    else scan.unreadable.push({ file: name, reason: failure })
    yield* step
  }
}, Effect.scoped)

const inRepository = "Run it in a git repository, or in a hook of one"

const cannotListStaged = ([reason, ...why]: GitMessage): CommandError =>
  new CommandError({
    ...usageError(`git cannot list what is staged: ${reason}`, why.length === 0 ? inRepository : ""),
    why
  })
