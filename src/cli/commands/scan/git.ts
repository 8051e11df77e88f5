/**
 * Queries git: the files of a tree, the staged files, and the contents of blobs.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { realpathSync } from "node:fs"
import { isWithin } from "../../../domain/ProjectTrust.ts"
import { gitCommand, gitMessage, gitOptions, runGit } from "../../../process/git.ts"
import { type ToolResult, spawnTool } from "../../../process/runTool.ts"
import { splitList } from "./files.ts"

/**
 * Returns the files below a directory that are tracked, or that no .gitignore ignores; undefined without a repository.
 * Ignore lists outside of the tree are settings of one person or clone, and do not count.
 */
export const listGitFiles = Effect.fnUntraced(function* (directory: string) {
  const options = { cwd: directory, inHook: false }
  const top = yield* runGit(["rev-parse", "--show-toplevel"], options)
  // core.worktree leads elsewhere: git would list the files of that place.
  if (top?.status === 0 && !contains(top.stdout.toString().replace(/\n$/, ""), directory)) {
    return [`its repository has another work tree: ${top.stdout.toString().trimEnd()}`] as const
  }
  const ignored = yield* runGit(["-c", "core.excludesFile=/dev/null", "check-ignore", "--quiet", "."], options)
  // For a directory that is itself ignored, git would list nothing.
  if (ignored?.status === 0) return undefined
  if (ignored?.status !== 1) return ignored === undefined || isNoRepository(ignored) ? undefined : gitMessage(ignored)
  const list = ["ls-files", "-z", "--cached", "--others", "--exclude-per-directory=.gitignore"]
  const listed = yield* runGit(list, options)
  if (listed === undefined) return undefined
  return listed.status === 0 ? listed.stdout : gitMessage(listed)
})

const contains = (top: string, directory: string): boolean => {
  try {
    return isWithin(realpathSync.native(directory), top)
  } catch {
    return false
  }
}

const isNoRepository = ({ stderr }: ToolResult): boolean =>
  /^fatal: (?:not a git repository \(|this operation must be run in a work tree)/.test(stderr)

/** Returns the files that are added or changed in the index, or git's error message. */
export const listStagedFiles = Effect.fnUntraced(function* (cwd: string, paths: ReadonlyArray<string>) {
  const options = { cwd, inHook: true }
  const head = yield* runGit(["rev-parse", "--verify", "--quiet", "HEAD"], options)
  // Before the first commit, all is compared with the empty tree.
  const base = head?.status === 1 ? yield* runGit(["hash-object", "-t", "tree", "--stdin"], options) : head
  const diff =
    base?.status === 0 ? yield* runGit([...indexDiff, base.stdout.toString().trim(), "--", ...paths], options) : base
  if (diff === undefined) return ["git cannot be run"] as const
  if (diff.status !== 0) return gitMessage(diff)
  const fields = [...splitList(diff.stdout)]
  const staged: Array<StagedFile> = []
  for (let n = 0; n + 1 < fields.length; n += 2) {
    // ":100644 100644 <old blob> <blob> M", then the name. Symbolic links and submodules have other modes.
    const [, mode, , blob] = (fields[n] ?? "").split(" ")
    if (mode?.startsWith("100") === true && blob !== undefined) staged.push({ name: fields[n + 1] ?? "", blob })
  }
  return { staged }
})

interface StagedFile {
  readonly name: string
  readonly blob: string
}

/** Compares ids and no contents, so attributes, filters and drivers of the repository have no part in it. */
const indexDiff = ["diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--diff-filter=ACMT"]

/** Opens a reader over the contents of these blobs, from one `git cat-file --batch`. */
export const openBlobs = (cwd: string, blobs: ReadonlyArray<string>) =>
  Effect.map(
    spawnTool([...gitCommand, "cat-file", "--batch"], gitOptions({ cwd, inHook: true }), {
      stdin: Stream.fromIterable(blobs.map((blob) => Buffer.from(`${blob}\n`))),
      stderr: "ignore"
    }),
    ({ stdout }) => new BlobReader(Stream.toAsyncIterable(stdout)[Symbol.asyncIterator]())
  )

/** Reads blobs in their order, and holds no more than one chunk of a pipe. */
class BlobReader {
  private buffered: Buffer = Buffer.alloc(0)
  /** Of the current blob and the line feed behind it. */
  private remaining = 0
  private readonly chunks: AsyncIterator<Uint8Array>

  constructor(chunks: AsyncIterator<Uint8Array>) {
    this.chunks = chunks
  }

  /** Skips the rest of the current blob and begins the next one. Returns false if git does not have it. */
  async next(): Promise<boolean> {
    const skipped = Buffer.alloc(64 * 1024)
    while (this.remaining > 0 && (await this.read(skipped)) > 0);
    let end = this.buffered.indexOf(lineFeed)
    while (end === -1) {
      if (!(await this.fill())) return false
      end = this.buffered.indexOf(lineFeed)
    }
    const [, type, size] = this.buffered.toString("latin1", 0, end).split(" ")
    this.buffered = this.buffered.subarray(end + 1)
    this.remaining = type === "blob" ? Number(size) + 1 : 0
    return type === "blob"
  }

  /** Returns how many bytes it copied; 0 at the end of the blob. */
  async read(into: Buffer): Promise<number> {
    if (this.remaining === 0) return 0
    if (this.buffered.length === 0 && !(await this.fill())) throw new Error("git ended")
    const count = Math.min(into.length, this.remaining - 1, this.buffered.length)
    this.buffered.copy(into, 0, 0, count)
    this.buffered = this.buffered.subarray(count)
    this.remaining -= count
    if (count === 0 && this.remaining === 1) {
      this.buffered = this.buffered.subarray(1)
      this.remaining = 0
    }
    return count
  }

  private async fill(): Promise<boolean> {
    const { done, value } = await this.chunks.next()
    if (done === true) return false
    const chunk = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    this.buffered = this.buffered.length === 0 ? chunk : Buffer.concat([this.buffered, chunk])
    return true
  }
}

const lineFeed = 0x0a
