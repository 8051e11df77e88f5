/**
 * Runs git, read-only: it runs no program and opens no connection that a repository
 * configures, and its answer does not depend on settings of the repository or the person.
 *
 * Callers use plumbing commands, which read few settings; those that matter are overridden here.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import type { Environment, ToolResult } from "./runTool.ts"
import { runTool } from "./runTool.ts"

const settings = {
  // A repository inside a cloned one would be found, and its settings obeyed.
  "safe.bareRepository": "explicit",
  "core.hooksPath": "/dev/null",
  // Empty rather than false, which git before 2.36 takes for a program.
  "core.fsmonitor": "",
  // Decides which files .gitignore matches. Repositories are made with it where file names are so.
  "core.ignoreCase": String(process.platform === "darwin")
}

export const gitCommand = [
  "git",
  ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
] as const

/** Git sets these for a hook: they name the repository and the index of the commit. */
const hookVariables: ReadonlySet<string> = new Set([
  "GIT_DIR",
  "GIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_COMMON_DIR",
  "GIT_OBJECT_DIRECTORY"
])

/** For git that knows them; older ones ignore them. */
const variables: Environment = {
  // A partial clone fetches missing objects by a program that the repository names.
  GIT_NO_LAZY_FETCH: "1",
  GIT_ALLOW_PROTOCOL: "",
  GIT_TERMINAL_PROMPT: "0",
  GIT_OPTIONAL_LOCKS: "0",
  // A replacement may hide what will be committed.
  GIT_NO_REPLACE_OBJECTS: "1",
  LC_ALL: "C"
}

export interface GitOptions {
  readonly cwd: string
  /** Whether the environment names the repository, as it does in a hook. */
  readonly inHook: boolean
  readonly timeout?: Duration.Input
}

/** Output is read whole: the names of a million files take about 100 MB. */
const maxOutput = 1024 * 1024 * 1024

export const gitOptions = ({ inHook, ...options }: GitOptions) => {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("GIT_") || (inHook && hookVariables.has(name))
  )
  const env: Environment = { ...Object.fromEntries(inherited), ...variables }
  return { ...options, maxOutput, env }
}

/** Runs git to its end. Returns undefined if git is not installed, has no exit status, or the directory was removed. */
export const runGit = (args: ReadonlyArray<string>, options: GitOptions): Effect.Effect<ToolResult | undefined> =>
  Effect.try(() => path.resolve(options.cwd)).pipe(
    Effect.flatMap((cwd) => runTool([...gitCommand, ...args], gitOptions({ ...options, cwd }))),
    Effect.orElseSucceed(() => undefined)
  )

export type GitMessage = readonly [first: string, ...more: ReadonlyArray<string>]

/** Returns what git says about its failure, line by line. */
export const gitMessage = ({ status, stderr }: ToolResult): GitMessage => {
  const [first = `exit status ${status}`, ...more] = stderr
    .split("\n")
    .map((line) => line.trim().replace(/^fatal: /, ""))
    .filter((line) => line !== "")
    .slice(0, 5)
  return [first, ...more]
}
