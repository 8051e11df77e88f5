/**
 * Runs git, read-only and without the programs that a repository configures.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import type { Environment, ToolResult } from "./runTool.ts"
import { runTool } from "./runTool.ts"

/** `core.fsmonitor` may name a program of the repository. */
export const gitCommand = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false"] as const

/** Git sets these for a hook. They name the repository of the commit, which may not be the one in question. */
const hookVariables: ReadonlySet<string> = new Set([
  "GIT_DIR",
  "GIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_COMMON_DIR",
  "GIT_OBJECT_DIRECTORY",
  "GIT_PREFIX",
  "GIT_NAMESPACE"
])

export interface GitOptions {
  readonly cwd: string
  /** Whether the environment names the repository, as it does in a hook. */
  readonly inHook: boolean
  readonly timeout?: Duration.Input
}

/** Output is read whole: the names of a million files take about 100 MB. */
const maxOutput = 1024 * 1024 * 1024

export const gitOptions = ({ inHook, ...options }: GitOptions) => {
  const env: Environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => inHook || !hookVariables.has(name))
  )
  return { ...options, maxOutput, env: { ...env, GIT_OPTIONAL_LOCKS: "0" } }
}

/** Runs git to its end. Returns undefined if git is not installed, has no exit status, or the directory was removed. */
export const runGit = (args: ReadonlyArray<string>, options: GitOptions): Effect.Effect<ToolResult | undefined> =>
  Effect.try(() => path.resolve(options.cwd)).pipe(
    Effect.flatMap((cwd) => runTool([...gitCommand, ...args], gitOptions({ ...options, cwd }))),
    Effect.orElseSucceed(() => undefined)
  )
