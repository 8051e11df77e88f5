/**
 * trusted.json: the project files that the user of this command trusts.
 *
 * It is in ~/.agent-secrets of that user, also if the daemon runs as another: consent is the
 * decision of the caller. Only that user may be able to write the file and its directory; root
 * is no exception.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { readTrustList, type TrustedProject } from "../../../domain/ProjectTrust.ts"
import { below } from "../../../domain/paths.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError } from "../../command/CommandError.ts"
import { homeDirectory } from "../../command/settingsFile.ts"
import { reasonOf } from "../../command/Output.ts"
import { unsafePath } from "../../../process/pathOwners.ts"
import { readRegularFile } from "./foreignFile.ts"

export type TrustList = ReadonlyArray<TrustedProject>

/** In MiB, for thousands of projects. */
const sizeLimit = 4

/** Reads the list; fails if another user could have written it. */
export const loadTrustList = Effect.gen(function* () {
  const { directory, file } = yield* trustListLocation
  return yield* Effect.try({
    try: () => readTrusted(directory, file),
    catch: (cause) => unusableList(file, reasonOf(cause))
  })
})

export const trustListLocation = Effect.suspend(() => {
  const home = homeDirectory()
  if (typeof home !== "string") return Effect.fail(new CommandError(home))
  const directory = below(home, ".agent-secrets")
  return Effect.succeed({ directory, file: below(directory, "trusted.json") })
})

/** Throws the reason why the list cannot be used. */
export const readTrusted = (directory: string, file: string): TrustList => {
  const found = fs.statSync(directory, { throwIfNoEntry: false })
  if (found === undefined || fs.lstatSync(file, { throwIfNoEntry: false }) === undefined) return []
  const { bytes, stat } = readRegularFile(file, sizeLimit, fs.constants.O_NOFOLLOW)
  const unsafe = unsafePath(file)
  if (unsafe !== undefined) throw new Error(unsafe.reason)
  if (![found, stat].every(isOnlyOurs)) throw new Error("it belongs to or is writable by another user")
  const list = readTrustList(bytes.toString("utf8"))
  if (list === undefined) throw new Error("it is damaged")
  return list
}

/** Returns whether no one else may have written it. Stricter than for a project: neither root nor a group. */
const isOnlyOurs = ({ mode, uid }: fs.Stats): boolean => uid === (process.getuid?.() ?? uid) && (mode & 0o022) === 0

export const unusableList = (file: string, reason: string): CommandError =>
  new CommandError({
    message: `cannot use the list of trusted projects: ${reason}`,
    why: file,
    code: "io_error",
    fix: "Remove the cause, or remove the file and allow your projects again",
    exitStatus: exitStatus.failed
  })
