/**
 * Finds the files that `secrets env` and `secrets inject` wrote, and reads the expiry of their secrets.
 *
 * A file is managed only if the comments at its top say so. Candidates are files whose
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
import { type DirectoryEntry, readDirectory, realPath } from "../readDirectory.ts"

export type ManagedFile =
  | { readonly is: "managed"; readonly file: string; readonly expiresAt: number; readonly same: FileIdentity }
  | { readonly is: "unclear"; readonly file: string; readonly reason: string }

/** Identifies the file that was read and its state: another may have its name by now. */
export interface FileIdentity {
  readonly device: number
  readonly inode: number
  readonly changed: number
}

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
    if (entry.isDirectory && !skippedDirectories.has(entry.name)) yield* candidates(file)
    if (!entry.isFile) continue
    if (entry.name.startsWith(".env") || (hasHashComments(entry.name) && isPrivate(file))) yield { file }
    if (entry.name === ".secrets.json") yield* envFileOf(file)
  }
}

/** Returns whether a file is as `inject` writes it: readable by its owner alone, who is this user. */
const isPrivate = (file: string): boolean => {
  const stat = fs.lstatSync(encodePath(file), { throwIfNoEntry: false })
  return stat !== undefined && stat.uid === process.getuid?.() && (stat.mode & 0o777) === 0o600
}

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
    if (header.until.length === 0) return { is: "unclear", file, reason: "the secrets-ttl line is missing" }
    const times = header.until.flatMap((time) => Option.toArray(parseTimestamp(time)).map(({ millis }) => millis))
    return times.length < header.until.length
      ? { is: "unclear", file, reason: "the secrets-ttl is not a time" }
      : { is: "managed", file, expiresAt: Math.max(...times), same: identityOf(head.stat) }
  } catch (error) {
    return reasonOf(error) === "ENOENT" ? undefined : { is: "unclear", file, reason: reasonOf(error) }
  }
}

const identityOf = ({ dev, ino, mtimeMs }: fs.Stats): FileIdentity => ({ device: dev, inode: ino, changed: mtimeMs })

/**
 * Removes the file if it is still the one that was read. Returns undefined on success, `fileReplaced` if another has
 * its name, or the system's error code. A replacement between the check and the removal is not detected.
 */
export const removeIfSame = (file: string, same: FileIdentity): string | undefined => {
  try {
    const now = identityOf(fs.lstatSync(encodePath(file)))
    if (now.device !== same.device || now.inode !== same.inode || now.changed !== same.changed) return fileReplaced
    fs.unlinkSync(encodePath(file))
    return undefined
  } catch (error) {
    return reasonOf(error) === "ENOENT" ? fileReplaced : reasonOf(error)
  }
}

export const fileReplaced = "replaced"

/** The header is a few lines long. */
const headBytes = 4096

/**
 * Reads the beginning of a regular file. Returns undefined for anything else: a symbolic link is not followed, a pipe
 * not opened. Throws the system's error.
 */
export const readHead = (file: string): { readonly text: string; readonly stat: fs.Stats } | undefined => {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants
  if (!fs.lstatSync(encodePath(file)).isFile()) return undefined
  const descriptor = fs.openSync(encodePath(file), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const stat = fs.fstatSync(descriptor)
    if (!stat.isFile()) return undefined
    const bytes = Buffer.alloc(headBytes)
    return { text: bytes.toString("utf8", 0, fs.readSync(descriptor, bytes, 0, headBytes, 0)), stat }
  } finally {
    fs.closeSync(descriptor)
  }
}
