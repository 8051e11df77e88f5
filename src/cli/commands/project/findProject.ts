/**
 * The `.secrets.json` of the project that the working directory is in: the first one
 * on the way up.
 *
 * It chooses which secrets go to the programs of its reader. One that somebody else
 * may write is therefore not taken without being named.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import type { ProjectFile } from "../../../domain/ProjectFile.ts"
import { projectFileName, readProjectFile } from "../../../domain/ProjectFile.ts"
import { configError } from "../../command/daemonAddress.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import { reasonOf } from "../../command/Output.ts"
import { readRegularFile } from "./readRegularFile.ts"

export interface Project {
  readonly file: string
  /** Where it is, to which its paths are relative. */
  readonly directory: string
  readonly content: ProjectFile
}

/** In MiB; far beyond any project: what is longer is another file. */
const sizeLimit = 1

/** `named` is a path that the caller has given; nothing is searched then. */
export const findProject = Effect.fnUntraced(function* (from: string, named: string | undefined) {
  const file = named === undefined ? search(from) : path.resolve(named)
  if (file === undefined) {
    return yield* failUsage(
      `there is no ${projectFileName} in ${from} or above it`,
      "Make one, or name what is wanted: --secret NAME"
    )
  }
  const { isForeign, text } = yield* Effect.try({ try: () => read(file), catch: (cause) => unreadable(file, cause) })
  if (named === undefined && isForeign) {
    return yield* broken(
      `${file} is somebody else's, or others may write it`,
      "Look at it; if it is right, name it: --project PATH"
    )
  }
  const content = readProjectFile(text)
  if (Result.isFailure(content)) {
    const [first = "", ...more] = content.failure
    return yield* new CommandError({
      ...configError(`${file} cannot be used`, `Correct ${file}`),
      why: [first, ...more].join("\n  ")
    })
  }
  const project: Project = { file, directory: path.dirname(file), content: content.success }
  return project
})

const search = (from: string): string | undefined => {
  for (let directory = from; ; directory = path.dirname(directory)) {
    const file = path.join(directory, projectFileName)
    if (fs.existsSync(file)) return file
    if (directory === path.dirname(directory)) return undefined
  }
}

/** The text, and whether it may be another's. */
const read = (file: string): { readonly text: string; readonly isForeign: boolean } => {
  const { stat, text } = readRegularFile(file, sizeLimit)
  // A link of another's chooses among our own files.
  const owners = [stat.uid, fs.lstatSync(file).uid]
  return { text, isForeign: (stat.mode & 0o002) !== 0 || owners.some(isStranger) }
}

const isStranger = (owner: number): boolean => {
  const user = process.getuid?.()
  return user !== undefined && user !== 0 && owner !== user && owner !== 0
}

const unreadable = (file: string, cause: unknown): CommandError =>
  broken(`cannot read ${file} (${reasonOf(cause)})`, "Give the path of a project file with --project")

const broken = (message: string, fix: string): CommandError => new CommandError(configError(message, fix))
