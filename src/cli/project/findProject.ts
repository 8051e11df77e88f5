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
import type { ProjectFile } from "../../domain/ProjectFile.ts"
import { projectFileName, readProjectFile } from "../../domain/ProjectFile.ts"
import { badConfig } from "../daemonAddress.ts"
import { Failure, misuse } from "../Failure.ts"
import { reasonOf } from "../reasonOf.ts"

export interface Project {
  readonly file: string
  /** Where it is, to which its paths are relative. */
  readonly directory: string
  readonly content: ProjectFile
}

/** Far beyond any project; what is longer is another file. */
const sizeLimit = 1024 * 1024

/** `named` is a path that the caller has given; nothing is searched then. */
export const findProject = Effect.fnUntraced(function* (from: string, named: string | undefined) {
  const file = named === undefined ? search(from) : path.resolve(named)
  if (file === undefined) {
    return yield* misuse(
      `there is no ${projectFileName} in ${from} or above it`,
      "Make one, or name what is wanted: --secret NAME"
    )
  }
  const text = yield* Effect.try({ try: () => read(file), catch: (cause) => unreadable(file, cause) })
  if (named === undefined && isForeign(file)) {
    return yield* broken(
      `${file} is somebody else's, or others may write it`,
      "Look at it; if it is right, name it: --project PATH"
    )
  }
  const content = readProjectFile(text)
  if (Result.isFailure(content)) {
    const [first = "", ...more] = content.failure
    return yield* new Failure({
      ...badConfig(`${file} cannot be used`, `Correct ${file}`),
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

/** Of a device nobody knows when it ends. */
const read = (file: string): string => {
  const { size } = fs.statSync(file)
  if (!fs.statSync(file).isFile()) throw new Error("it is not a regular file")
  if (size > sizeLimit) throw new Error("it is longer than 1 MiB")
  return fs.readFileSync(file, "utf8")
}

const isForeign = (file: string): boolean => {
  const user = process.getuid?.()
  const { mode, uid } = fs.statSync(file)
  return user !== undefined && ((mode & 0o002) !== 0 || (user !== 0 && uid !== user && uid !== 0))
}

const unreadable = (file: string, cause: unknown): Failure =>
  broken(`cannot read ${file} (${reasonOf(cause)})`, "Give the path of a project file with --project")

const broken = (message: string, fix: string): Failure => new Failure(badConfig(message, fix))
