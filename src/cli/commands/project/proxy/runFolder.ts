/**
 * The folder of a run: settings and certificates for its program, and the sockets of clients that take no address. Only this
 * user can enter it; no value is in it. It is removed at the end of the run.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { exitStatus } from "../../../../domain/exitStatus.ts"
import { CommandError } from "../../../command/CommandError.ts"
import { reasonOf } from "../../../command/Output.ts"
import { makePrivateDirectory } from "../privateDirectory.ts"

export const runFolder = Effect.acquireRelease(
  Effect.try({
    try: () => makePrivateDirectory("secrets-run-"),
    catch: (cause) =>
      new CommandError({
        message: `cannot make a folder for the program: ${cause instanceof Error ? cause.message : reasonOf(cause)}`,
        code: "io_error",
        fix: "Name a folder of your own in XDG_RUNTIME_DIR or TMPDIR",
        exitStatus: exitStatus.failed
      })
  }),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** Writes files into the folder, by name. One that is there is replaced as a whole: a client may read it. */
export const writeInto = (folder: string, files: Readonly<Record<string, string>>): void => {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name)
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
    fs.writeFileSync(`${file}.new`, text, { mode: 0o600 })
    fs.renameSync(`${file}.new`, file)
  }
}

/** Returns the text of a file; undefined if it cannot be read. */
export const readFileIfAny = (file: string): string | undefined => {
  try {
    return fs.statSync(file).isFile() ? fs.readFileSync(file, "utf8") : undefined
  } catch {
    return undefined
  }
}
