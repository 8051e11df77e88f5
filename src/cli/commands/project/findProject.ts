/**
 * The `.secrets.json` of a project: in the working directory, or the nearest above it.
 *
 * It decides which secrets programs of this user get. A file that another user can write
 * is therefore used only if --project names it, and any file only with the user's consent
 * (`consent.ts`). The file is read once: what is hashed is what is used.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { escapeValue } from "../../../domain/escape.ts"
import { parseJsonFile } from "../../../domain/jsonFile.ts"
import type { ProjectFile } from "../../../domain/ProjectFile.ts"
import { projectFileName, projectHash } from "../../../domain/ProjectTrust.ts"
import { quoteWord } from "../../../domain/shellWord.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { configError } from "../../command/settingsFile.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import { reasonOf } from "../../command/Output.ts"
import { isOthers, readRegularFile } from "./foreignFile.ts"
import { plainProject } from "./plainProject.ts"
import { readVercelLink, type VercelLink } from "./vercelLink.ts"

/** In MiB, far above any project file. */
const sizeLimit = 1

export interface Project {
  /** Where it was found: the real path of its directory, and its name. */
  readonly file: string
  /** That directory, to which its paths are relative. */
  readonly directory: string
  /** The file itself, if `file` is a link. */
  readonly realPath: string
  /** Of both paths, and of everything that decides what is leased. */
  readonly hash: string
  /** Whether another user owns it or a link to it, or everybody can write to it. */
  readonly isForeign: boolean
  /** Whether everybody can write to it. */
  readonly isOpen: boolean
  readonly content: ProjectFile
  /** Of a Vercel project. */
  readonly link: VercelLink | undefined
}

/**
 * Finds and reads the project file: `named`, which may be its directory, or else the nearest one from `from` upwards. Where
 * there is none, the hint proposes `instead`.
 */
export const findProject = Effect.fnUntraced(function* (
  from: string,
  named: string | undefined,
  instead = "name a secret: --secret NAME"
) {
  if (named === undefined && isNotUtf8(from)) {
    return yield* failUsage(
      `the path of this directory is not UTF-8 text, so no ${projectFileName} can be used in it`,
      `Rename the directory, or ${instead}`
    )
  }
  const found = named === undefined ? search(from) : fileIn(path.resolve(named))
  if (found === undefined) {
    return yield* failUsage(`no ${projectFileName} in ${escapeValue(from)} or above it`, `Create one, or ${instead}`)
  }
  return yield* readProject(found)
})

/** Rejects a file of another user that was not named. */
export const rejectForeign = (project: Project, named: string | undefined): Effect.Effect<void, CommandError> =>
  project.isForeign && named === undefined
    ? Effect.fail(
        untrusted(`${escapeValue(project.file)} belongs to or is writable by another user`, useForeign(project))
      )
    : Effect.void

/** Returns what to do so that a file of another user is used. */
export const useForeign = ({ file, isOpen }: Pick<Project, "file" | "isOpen">): string =>
  isOpen
    ? `Let no one else write to it: chmod o-w ${shellWord(file)}`
    : `Look at it, run secrets allow ${shellWord(file)}, then name it with --project ${shellWord(file)}`

/** Quotes a path for a shell, if it needs that. */
export const shellWord = (file: string): string => quoteWord(escapeValue(file))

/** Returns a refusal to use a project file. */
export const untrusted = (message: string, fix: string, why?: string): CommandError =>
  new CommandError({ message, why, fix, code: "untrusted_project", exitStatus: exitStatus.rejected })

/** Reads the project file of this path. */
export const readProject = Effect.fnUntraced(function* (found: string) {
  const { bytes, file, isForeign, isOpen, realPath } = yield* Effect.try({
    try: () => read(found),
    catch: (cause) => {
      const reason = reasonOf(cause)
      const [message, fix] = [
        `cannot read ${escapeValue(found)} (${reason})`,
        `Name a ${projectFileName} or its directory`
      ]
      return ["ENOENT", "ENOTDIR"].includes(reason)
        ? failUsage(message, fix)
        : new CommandError(configError(message, fix))
    }
  })
  const content = yield* decodeProject(bytes)
  if (Result.isFailure(content)) {
    return yield* new CommandError({
      ...configError(`${escapeValue(file)} cannot be used`, `Correct ${escapeValue(file)}`),
      why: content.failure
    })
  }
  const directory = path.dirname(file)
  const link = "source" in content.success ? readVercelLink(directory) : undefined
  const hash = projectHash([file, realPath, bytes, link?.identity ?? ""])
  const project: Project = { file, directory, realPath, hash, isForeign, isOpen, content: content.success, link }
  return project
})

/** Decodes a project file, by its schema if it is not written plainly. */
const decodeProject = (bytes: Uint8Array) => {
  const parsed = parseJsonFile(bytes)
  const plain = "value" in parsed ? plainProject(parsed.value) : undefined
  if (plain !== undefined) return Effect.succeed(Result.succeed<ProjectFile>(plain))
  return Effect.map(
    Effect.promise(() => import("../../../domain/ProjectFile.ts")),
    ({ readProjectFile }) => readProjectFile(bytes)
  )
}

/** Returns whether Node replaced bytes of this path, which leads nowhere then. */
const isNotUtf8 = (directory: string): boolean => directory.includes("\ufffd") && !fs.existsSync(directory)

const search = (from: string): string | undefined => {
  for (let directory = from; ; directory = path.dirname(directory)) {
    const file = path.join(directory, projectFileName)
    if (fs.existsSync(file)) return file
    if (directory === path.dirname(directory)) return undefined
  }
}

/** Returns the project file of a directory, and any other path as it is. */
const fileIn = (named: string): string =>
  fs.statSync(named, { throwIfNoEntry: false })?.isDirectory() === true ? path.join(named, projectFileName) : named

const read = (found: string) => {
  const { bytes, stat } = readRegularFile(found, sizeLimit)
  const file = path.join(fs.realpathSync.native(path.dirname(found)), path.basename(found))
  const realPath = fs.realpathSync.native(found)
  // The path may lead elsewhere by now, or have bytes that are not UTF-8.
  const named = fs.statSync(realPath)
  if (named.dev !== stat.dev || named.ino !== stat.ino) throw new Error("it was replaced while it was read")
  // The owner of a symbolic link chooses among our files.
  const isForeign = isOthers(stat) || isOthers(fs.lstatSync(file))
  return { bytes, file, realPath, isForeign, isOpen: (stat.mode & 0o002) !== 0 }
}
