/**
 * Finds the files that `secrets env` and `secrets inject` wrote, and reads the expiry of their secrets.
 *
 * A file is managed only if the comments at its top say so, or a record of `writtenFiles`. Candidates are files whose
 * name begins with `.env`, those that a .secrets.json in the tree names as its env_file, and
 * private ones of other formats with comments. Links are not followed; node_modules and .git are skipped.
 */
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as path from "node:path"
import { envFilePattern, hasHashComments, parseEnvHeader } from "../../../domain/envFile.ts"
import { parseTimestamp } from "../../../domain/Timestamp.ts"
import { parseJsonFile } from "../../../domain/jsonFile.ts"
import { encodePath } from "../../../domain/pathText.ts"
import { reasonOf } from "../../command/Output.ts"
import { readHead } from "../project/foreignFile.ts"
import { type DirectoryEntry, readDirectory, realPath } from "../readDirectory.ts"
import { type FileIdentity, fileIdentityOf, isSameFile, writtenFiles } from "./writtenFiles.ts"

export type ManagedFile =
  | { readonly is: "managed"; readonly file: string; readonly expiresAt: number; readonly same: FileIdentity }
  | { readonly is: "unclear"; readonly file: string; readonly reason: string }

/** Directories with the files of other programs. */
export const skippedDirectories: ReadonlySet<string> = new Set(["node_modules", ".git", ".hg", ".svn"])

/** Yields each managed env file below a directory, and each candidate that cannot be read. */
export function* managedFiles(root: string): Generator<ManagedFile> {
  const real = realPath(root)
  const visited = new Set<string>()
  for (const { file, reason } of candidates(root)) {
    const inner = reason === undefined ? realPathBelow(file, real) : file
    if (inner === undefined || visited.has(inner)) continue
    visited.add(inner)
    const seen = reason === undefined ? inspect(file) : { is: "unclear" as const, file, reason }
    if (seen !== undefined) yield seen
  }
  for (const written of writtenFiles()) {
    const inner = realPathBelow(written.file, real)
    if (inner === undefined || visited.has(inner)) continue
    yield managedUntil(path.join(root, path.relative(real, inner)), [written.until], written.same)
  }
}

/** Returns the real path of a file if it is below the root. */
const realPathBelow = (file: string, root: string): string | undefined => {
  try {
    const real = path.join(realPath(path.dirname(file)), path.basename(file))
    return real.startsWith(root === "/" ? root : `${root}/`) ? real : undefined
  } catch {
    return undefined
  }
}

interface Candidate {
  readonly file: string
  readonly reason?: string
}

function* candidates(directory: string): Generator<Candidate> {
  let entries: ReadonlyArray<DirectoryEntry>
  try {
    entries = readDirectory(directory)
  } catch (error) {
    yield { file: directory, reason: reasonOf(error) }
    return
  }
  for (const entry of entries) {
    const file = path.join(directory, entry.name)
    if ("reason" in entry) {
      yield { file, reason: entry.reason }
      continue
    }
    if (entry.status.isDirectory() && !skippedDirectories.has(entry.name)) yield* candidates(file)
    if (!entry.status.isFile()) continue
    if (entry.name.startsWith(".env") || (hasHashComments(entry.name) && isPrivate(entry.status))) yield { file }
    if (entry.name === ".secrets.json") yield* envFileOf(file)
  }
}

/** Returns whether a file is as `inject` writes it: readable by its owner alone, who is this user. */
const isPrivate = ({ uid, mode }: fs.Stats): boolean => uid === process.getuid?.() && (mode & 0o777) === 0o600

/** Yields the env_file of a .secrets.json. Other errors in it are reported by `env` and `exec`. */
function* envFileOf(project: string): Generator<Candidate> {
  try {
    const parsed = parseJsonFile(fs.readFileSync(encodePath(project)))
    const settings = "value" in parsed ? parsed.value : undefined
    if (typeof settings !== "object" || settings === null || !("env_file" in settings)) return
    const { env_file: name } = settings
    if (typeof name === "string" && envFilePattern.test(name)) yield { file: path.resolve(path.dirname(project), name) }
  } catch (error) {
    yield { file: project, reason: reasonOf(error) }
  }
}

const inspect = (file: string): ManagedFile | undefined => {
  try {
    const head = readHead(file)
    const header = head === undefined ? undefined : parseEnvHeader(head.text)
    if (head === undefined || header === undefined) return undefined
    return managedUntil(file, header.until, fileIdentityOf(head.stat))
  } catch (error) {
    return reasonOf(error) === "ENOENT" ? undefined : { is: "unclear", file, reason: reasonOf(error) }
  }
}

const managedUntil = (file: string, until: ReadonlyArray<string>, same: FileIdentity): ManagedFile => {
  if (until.length === 0) return { is: "unclear", file, reason: "the secrets-ttl line is missing" }
  const times = until.flatMap((time) => Option.toArray(parseTimestamp(time)).map(({ millis }) => millis))
  return times.length < until.length
    ? { is: "unclear", file, reason: "the secrets-ttl is not a time" }
    : { is: "managed", file, expiresAt: Math.max(...times), same }
}

/**
 * Removes the file if it is still the one that was read. Returns undefined on success, `fileReplaced` if another has
 * its name, or the system's error code. A replacement between the check and the removal is not detected.
 */
export const removeIfSame = (file: string, same: FileIdentity): string | undefined => {
  try {
    if (!isSameFile(fileIdentityOf(fs.lstatSync(encodePath(file))), same)) return fileReplaced
    fs.unlinkSync(encodePath(file))
    return undefined
  } catch (error) {
    return reasonOf(error) === "ENOENT" ? fileReplaced : reasonOf(error)
  }
}

export const fileReplaced = "replaced"
