/**
 * What all calls of a client have in common: who it is, what it may use, and where its project is.
 *
 * The flags of `secrets mcp` narrow what config.json allows; nothing widens it.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { globMatcher } from "../../../domain/glob.ts"
import type { McpSettings } from "../../../domain/McpConfig.ts"
import { allowanceOf, type McpAllowance, type McpToolName } from "../../../domain/mcpTools.ts"
import type { GlobalArgs } from "../../command/settingsFile.ts"
import { loadDaemon } from "../../command/settings.ts"
import { failureOf, toolFailure } from "./toolFailure.ts"

export interface McpSession {
  /** Where the daemon is, by the flags of `secrets mcp`. */
  readonly args: GlobalArgs
  readonly settings: McpSettings
  /** The real path of the project's directory. */
  readonly project: string
  /** The client id of --client-id or the environment. */
  readonly clientId: string | undefined
  /** Globs of --secret; none for every secret. */
  readonly secrets: ReadonlyArray<string>
  /** Tools of --tool; none for all. */
  readonly tools: ReadonlyArray<McpToolName>
  /** Returns the number of the next run. */
  readonly nextRun: () => number
}

/** The longest client id that is made of the name that a client gives itself. */
const maxClientName = 40

/** Returns the client id of a client: one that was named, or what the client calls itself. */
export const clientIdOf = ({ clientId }: McpSession, clientName: string | undefined): string =>
  clientId ?? ((clientName ?? "").replaceAll(/[^A-Za-z0-9._-]+/g, "-").slice(0, maxClientName) || "mcp")

/** Returns what the client may do in this session. */
export const allowanceIn = ({ settings, tools }: McpSession, clientId: string): McpAllowance => {
  const allowance = allowanceOf(settings, clientId)
  return tools.length === 0
    ? allowance
    : { ...allowance, tools: allowance.tools.filter((tool) => tools.includes(tool)) }
}

/** Returns whether the flags of the session permit a secret. */
export const permitsName = ({ secrets }: McpSession, name: string): boolean =>
  secrets.length === 0 || secrets.some((glob) => globMatcher(glob)(name))

/** Returns the daemon to call. */
export const daemonFor = ({ args }: McpSession) => Effect.mapError(loadDaemon(args), failureOf)

/** Returns the real path of a directory of the project, or fails if it is outside. */
export const directoryInside = Effect.fnUntraced(function* ({ project }: McpSession, given: string) {
  const real = yield* realPathOf(path.resolve(project, given))
  if (real === undefined || !isDirectory(real)) {
    return yield* toolFailure("outside_project", "there is no such directory in the project")
  }
  if (!isInside(project, real)) return yield* toolFailure("outside_project", "the directory is outside of the project")
  return real
})

/** Returns whether there is a directory of this path. */
export const isDirectory = (file: string): boolean =>
  fs.statSync(file, { throwIfNoEntry: false })?.isDirectory() === true

/** Returns whether a real path is a directory or below it. */
export const isInside = (directory: string, file: string): boolean => {
  const relative = path.relative(directory, file)
  return relative === "" || (!path.isAbsolute(relative) && relative.split(path.sep)[0] !== "..")
}

/** Returns the path without links; undefined if there is no such file. */
export const realPathOf = (file: string): Effect.Effect<string | undefined> =>
  Effect.sync(() => {
    try {
      return fs.realpathSync.native(file)
    } catch {
      return undefined
    }
  })
