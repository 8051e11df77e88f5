/**
 * The files that `secrets inject` wrote in formats without comments, where no header can mark them: a
 * record of each in the state directory of the user. It has the path, the identity and the expiry, and no value.
 *
 * A file that was changed or replaced since is not ours. Each record is a file of its own, so that no two
 * commands write the same one.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { hash } from "node:crypto"
import * as path from "node:path"
import { below } from "../../../domain/paths.ts"
import { replaceFileSync } from "../../../daemon/files/durableFile.ts"
import { makeDirectory, pinDirectory } from "../../../daemon/files/pinDirectory.ts"
import { matchesShape } from "../../../domain/shape.ts"
import { homeDirectory } from "../../command/settingsFile.ts"
import { reasonOf } from "../../command/Output.ts"
import { isOthers } from "../project/foreignFile.ts"

/** Identifies the file that was read or written, and its state: another may have its name by now. */
export interface FileIdentity {
  readonly device: number
  readonly inode: number
  readonly changed: number
}

export interface WrittenFile {
  readonly file: string
  /** When its first lease expires. */
  readonly until: string
  readonly same: FileIdentity
}

export const fileIdentityOf = ({ dev, ino, mtimeMs }: fs.Stats): FileIdentity => ({
  device: dev,
  inode: ino,
  changed: mtimeMs
})

export const isSameFile = (one: FileIdentity, other: FileIdentity): boolean =>
  one.device === other.device && one.inode === other.inode && one.changed === other.changed

/** Records that a file was written just now; returns why it was not. Forgets the files that are gone. */
export const recordWritten = (file: string, until: string): Effect.Effect<string | undefined> =>
  Effect.gen(function* () {
    const home = homeDirectory()
    if (typeof home !== "string") return home.message
    const state = below(home, ".agent-secrets")
    yield* makeDirectory(state)
    const pinned = yield* pinDirectory(state)
    const directory = below(state, "written")
    yield* makeDirectory(directory)
    const written: WrittenFile = { file, until, same: fileIdentityOf(fs.lstatSync(file)) }
    for (const old of readRecords(directory)) if (!isPresent(old)) fs.rmSync(recordOf(directory, old.file))
    yield* pinned.check
    yield* replaceFileSync(recordOf(directory, file), `${JSON.stringify(written)}\n`)
    return undefined
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => Effect.succeed(error.message)),
    Effect.catchDefect((defect) => Effect.succeed(reasonOf(defect)))
  )

/** Returns the files of records that are still as they were written. */
export const writtenFiles = (): ReadonlyArray<WrittenFile> => {
  const home = homeDirectory()
  return typeof home === "string" ? readRecords(below(home, ".agent-secrets/written")).filter(isPresent) : []
}

/** Returns whether a file is as it was written. */
export const isWritten = (file: string): boolean => writtenFiles().some((one) => one.file === file)

const recordOf = (directory: string, file: string): string => path.join(directory, hash("sha256", file, "hex"))

const isPresent = ({ file, same }: WrittenFile): boolean => {
  const stat = fs.lstatSync(file, { throwIfNoEntry: false })
  return stat !== undefined && isSameFile(fileIdentityOf(stat), same)
}

/** Returns the records; one that another user may have written counts for nothing. */
const readRecords = (directory: string): ReadonlyArray<WrittenFile> => {
  try {
    if (isOthers(fs.lstatSync(directory))) return []
    return fs.readdirSync(directory).flatMap((name) => readRecord(path.join(directory, name)) ?? [])
  } catch {
    return []
  }
}

const example = { file: "", until: "", same: { device: 0, inode: 0, changed: 0 } }

const readRecord = (record: string): WrittenFile | undefined => {
  try {
    const parsed: unknown = JSON.parse(fs.readFileSync(record, "utf8"))
    return matchesShape(parsed, example) ? parsed : undefined
  } catch {
    return undefined
  }
}
