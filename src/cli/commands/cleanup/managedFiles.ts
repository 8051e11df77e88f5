/**
 * Env files that `secrets env` wrote, and whether their time is over.
 *
 * A file is managed only if the comments at its top say so; what a person wrote, or
 * what tells no time, is never touched. Names that begin with `.env` are looked at,
 * and those that a .secrets.json in the tree calls its env_file, where they lie in
 * the tree. Links are not followed, and node_modules and .git are not entered.
 */
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as path from "node:path"
import { parseEnvHeader } from "../../../domain/envFile.ts"
import { parseTimestamp } from "../../../domain/Timestamp.ts"
import { reasonOf } from "../../command/Output.ts"

export type ManagedFile =
  | { readonly is: "managed"; readonly file: string; readonly expiresAt: number; readonly same: FileIdentity }
  | { readonly is: "unclear"; readonly file: string; readonly reason: string }

/** Which file it was that was read, and in which state: another may have its name by now. */
export interface FileIdentity {
  readonly device: number
  readonly inode: number
  readonly changed: number
}

const passedOver = new Set(["node_modules", ".git", ".hg", ".svn"])

/** Every env file below a directory that is managed, or that may be and cannot be read. */
export function* managedFiles(root: string): Generator<ManagedFile> {
  const real = fs.realpathSync(root)
  const looked = new Set<string>()
  for (const { file, reason } of candidates(root)) {
    const inner = reason === undefined ? placeOf(file, real) : file
    if (inner === undefined || looked.has(inner)) continue
    looked.add(inner)
    const seen = reason === undefined ? look(file) : { is: "unclear" as const, file, reason }
    if (seen !== undefined) yield seen
  }
}

/** The true place of a file, if that is below the root. */
const placeOf = (file: string, root: string): string | undefined => {
  try {
    const real = path.join(fs.realpathSync(path.dirname(file)), path.basename(file))
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
  let entries: ReadonlyArray<fs.Dirent>
  try {
    entries = fs.readdirSync(directory, { withFileTypes: true })
  } catch (error) {
    yield { file: directory, reason: reasonOf(error) }
    return
  }
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = path.join(directory, entry.name)
    if (entry.isDirectory() && !passedOver.has(entry.name)) yield* candidates(file)
    if (!entry.isFile()) continue
    if (entry.name.startsWith(".env")) yield { file }
    if (entry.name === ".secrets.json") yield* namedBy(file)
  }
}

/** What else is wrong with a .secrets.json is said where it is used. */
function* namedBy(project: string): Generator<Candidate> {
  try {
    const settings: unknown = JSON.parse(fs.readFileSync(project, "utf8"))
    if (typeof settings !== "object" || settings === null || !("env_file" in settings)) return
    const { env_file: name } = settings
    if (typeof name === "string" && name !== "") yield { file: path.resolve(path.dirname(project), name) }
  } catch (error) {
    if (!(error instanceof SyntaxError)) yield { file: project, reason: reasonOf(error) }
  }
}

const look = (file: string): ManagedFile | undefined => {
  try {
    const head = readHead(file)
    const said = head === undefined ? undefined : parseEnvHeader(head.text)
    if (head === undefined || said === undefined) return undefined
    if (said.until.length === 0) return { is: "unclear", file, reason: "it does not tell until when it is good" }
    const times = said.until.flatMap((time) => Option.toArray(parseTimestamp(time)).map(({ millis }) => millis))
    return times.length < said.until.length
      ? { is: "unclear", file, reason: "its secrets-ttl is no time" }
      : { is: "managed", file, expiresAt: Math.max(...times), same: identityOf(head.stat) }
  } catch (error) {
    return reasonOf(error) === "ENOENT" ? undefined : { is: "unclear", file, reason: reasonOf(error) }
  }
}

const identityOf = ({ dev, ino, mtimeMs }: fs.Stats): FileIdentity => ({ device: dev, inode: ino, changed: mtimeMs })

/**
 * Removes what was read, and nothing that has come in its place: gives the reason if it cannot be, undefined if it is
 * done, and "replaced" if another has its name. Between the last look and the removal lie some microseconds.
 */
export const removeIfSame = (file: string, same: FileIdentity): string | undefined => {
  try {
    const now = identityOf(fs.lstatSync(file))
    if (now.device !== same.device || now.inode !== same.inode || now.changed !== same.changed) return fileReplaced
    fs.unlinkSync(file)
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
  if (!fs.lstatSync(file).isFile()) return undefined
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const stat = fs.fstatSync(descriptor)
    if (!stat.isFile()) return undefined
    const bytes = Buffer.alloc(headBytes)
    return { text: bytes.toString("utf8", 0, fs.readSync(descriptor, bytes, 0, headBytes, 0)), stat }
  } finally {
    fs.closeSync(descriptor)
  }
}
