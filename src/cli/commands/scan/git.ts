/**
 * What git knows: which files of a tree are its own, and what is staged.
 *
 * Nothing a repository has in its settings is run for it, and nothing is written.
 * Where git is not installed or there is no repository, `undefined` says so.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"

/** A monitor of the file system is a program that a repository names. */
export const safeGitOptions = ["-c", "core.fsmonitor=false", "-c", "core.quotePath=false"]

/** In a hook these tell of the repository that is committed to, which is not always the one asked about. */
const ofHooks = [
  "GIT_DIR",
  "GIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_COMMON_DIR",
  "GIT_OBJECT_DIRECTORY",
  "GIT_PREFIX",
  "GIT_NAMESPACE"
]

export const gitEnvironment = (inHook: boolean): NodeJS.ProcessEnv => {
  const kept = Object.entries(process.env).filter(([name]) => inHook || !ofHooks.includes(name))
  return { ...Object.fromEntries(kept), GIT_OPTIONAL_LOCKS: "0" }
}

/** A list of names of a million files has some 100 MB. */
const maxOutputBytes = 1024 * 1024 * 1024

export interface GitResult {
  /** The exit status; undefined if git could not be run. */
  readonly status: number | undefined
  readonly stdout: Buffer
  readonly stderr: string
}

/** Runs git to its end. `inHook`: in the repository that the environment tells. */
export const runGit = (
  args: ReadonlyArray<string>,
  { cwd, inHook }: { readonly cwd: string; readonly inHook: boolean }
): Effect.Effect<GitResult> =>
  Effect.callback((resume) => {
    const child = execFile(
      "git",
      [...safeGitOptions, ...args],
      { cwd, env: gitEnvironment(inHook), encoding: "buffer", maxBuffer: maxOutputBytes },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : error.code
        const known = typeof status === "number" ? status : undefined
        resume(Effect.succeed({ status: known, stdout, stderr: stderr.toString() }))
      }
    )
    return Effect.sync(() => void child.kill())
  })

/** The words of a list that has a NUL behind each. */
export function* wordsIn(list: Buffer): Generator<string> {
  for (let at = 0, end = list.indexOf(0); end !== -1; at = end + 1, end = list.indexOf(0, at)) {
    yield list.toString("utf8", at, end)
  }
}

/** The files below a directory that git has or would take, relative to it; undefined if git cannot say. */
export const listGitFiles = Effect.fnUntraced(function* (directory: string) {
  const where = { cwd: directory, inHook: false }
  const ignored = yield* runGit(["check-ignore", "--quiet", "."], where)
  // Of a directory that is ignored itself, and was asked for all the same, git would list nothing.
  if (ignored.status !== 1) return undefined
  const { status, stdout } = yield* runGit(["ls-files", "-z", "--cached", "--others", "--exclude-standard"], where)
  return status === 0 ? stdout : undefined
})

export interface Staged {
  readonly name: string
  readonly blob: string
}

/** The files that are added or changed in the index, or what git says instead. */
export const stagedFiles = Effect.fnUntraced(function* (cwd: string, paths: ReadonlyArray<string>) {
  const { status, stderr, stdout } = yield* runGit(
    ["diff", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--diff-filter=ACMT", "--", ...paths],
    { cwd, inHook: true }
  )
  if (status === undefined) return "git cannot be run"
  if (status !== 0) return stderr.split("\n")[0] ?? "git failed"
  const words = [...wordsIn(stdout)]
  const staged: Array<Staged> = []
  for (let n = 0; n + 1 < words.length; n += 2) {
    // ":100644 100644 <blob before> <blob> M", then the name. Of a link and of a submodule there is no text.
    const [, mode, , blob] = (words[n] ?? "").split(" ")
    if (mode?.startsWith("100") === true && blob !== undefined) staged.push({ name: words[n + 1] ?? "", blob })
  }
  return staged
})
