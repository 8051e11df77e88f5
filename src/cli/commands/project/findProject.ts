/**
 * The `.secrets.json` of a project: in the working directory, or the nearest above it.
 *
 * It decides which secrets programs of this user get. A file that another user can write
 * is therefore used only if --project names it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { projectFileName, readProjectFile } from "../../../domain/ProjectFile.ts"
import { configError } from "../../command/daemonAddress.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import { reasonOf } from "../../command/Output.ts"

/** In MiB, far above any project file. */
const sizeLimit = 1

/** Finds and reads the project file: `named`, or else the nearest one from a directory upwards. */
export const findProject = Effect.fnUntraced(function* (from: string, named: string | undefined) {
  const file = named === undefined ? search(from) : path.resolve(named)
  if (file === undefined) {
    return yield* failUsage(
      `no ${projectFileName} in ${from} or above it`,
      "Create one, or name a secret: --secret NAME"
    )
  }
  const { isForeign, text } = yield* Effect.try({
    try: () => read(file),
    catch: (cause) =>
      broken(`cannot read ${file} (${reasonOf(cause)})`, "Give the path of a project file with --project")
  })
  if (named === undefined && isForeign) {
    return yield* broken(`${file} belongs to or is writable by another user`, "Check it, then name it: --project PATH")
  }
  const content = readProjectFile(text)
  if (Result.isFailure(content)) {
    return yield* new CommandError({
      ...configError(`${file} cannot be used`, `Correct ${file}`),
      why: content.failure
    })
  }
  // Its paths are relative to this directory.
  return { file, directory: path.dirname(file), content: content.success }
})

const search = (from: string): string | undefined => {
  for (let directory = from; ; directory = path.dirname(directory)) {
    const file = path.join(directory, projectFileName)
    if (fs.existsSync(file)) return file
    if (directory === path.dirname(directory)) return undefined
  }
}

/** Returns the text, and whether another user can write it. */
const read = (file: string): { readonly text: string; readonly isForeign: boolean } => {
  const { stat, text } = readRegularFile(file, sizeLimit)
  // The owner of a symbolic link chooses among our files.
  const owners = [stat.uid, fs.lstatSync(file).uid]
  return { text, isForeign: (stat.mode & 0o002) !== 0 || owners.some(isOtherUser) }
}

const isOtherUser = (owner: number): boolean => {
  const user = process.getuid?.()
  return user !== undefined && user !== 0 && owner !== user && owner !== 0
}

const broken = (message: string, fix: string): CommandError => new CommandError(configError(message, fix))

/** Reads a regular file of bounded size. Never waits for a pipe or reads a device. Throws system errors. */
export const readRegularFile = (
  file: string,
  mebibytes: number
): { readonly text: string; readonly stat: fs.Stats } => {
  const descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  try {
    const stat = fs.fstatSync(descriptor)
    if (!stat.isFile()) throw new Error("not a regular file")
    if (stat.size > mebibytes * 1024 * 1024) throw new Error(`longer than ${mebibytes} MiB`)
    return { text: fs.readFileSync(descriptor, "utf8"), stat }
  } finally {
    fs.closeSync(descriptor)
  }
}
