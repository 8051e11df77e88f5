/**
 * Writes a file of variables: readable to its owner alone from the first byte, and
 * at every moment either the old file or the new one.
 *
 * A file that we did not write is left alone, and a link is not followed: it is
 * itself what stands there. Where git keeps the file, or would, a warning says so.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { parseEnvHeader } from "../../../domain/envFile.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError } from "../../command/CommandError.ts"
import { readHead } from "../cleanup/managedFiles.ts"
import { reasonOf } from "../../command/Output.ts"
import { printWarning } from "./printWarning.ts"

/** Refuses what must not be replaced. To be asked before anything is leased. */
export const checkEnvFileTarget = (file: string, force: boolean): Effect.Effect<void, CommandError> =>
  Effect.suspend(() => {
    const look = () => {
      fs.accessSync(path.dirname(file), fs.constants.W_OK | fs.constants.X_OK)
      return fs.lstatSync(file, { throwIfNoEntry: false })
    }
    const found = Effect.try({ try: look, catch: envFileError(file) })
    return Effect.flatMap(found, (stat) => {
      if (stat === undefined) return Effect.void
      if (!stat.isFile() && !stat.isSymbolicLink()) return refuse(`${file} is no file`, "Name another with --file")
      if (force) return Effect.void
      if (stat.isSymbolicLink()) {
        return refuse(
          `${file} is a symbolic link, and is not followed`,
          "Name another with --file, or replace the link with --force"
        )
      }
      return Effect.flatMap(Effect.try({ try: () => readHead(file)?.text, catch: envFileError(file) }), (head) =>
        parseEnvHeader(head ?? "") !== undefined
          ? Effect.void
          : refuse(
              `${file} is there, and was not written by secrets`,
              "Move it away, name another with --file, or replace it with --force"
            )
      )
    })
  })

/** Puts the text there. What is there is looked at again: it may have come while leases were waited for. */
export const writeEnvFile = (file: string, text: string, force: boolean): Effect.Effect<void, CommandError> =>
  Effect.andThen(checkEnvFileTarget(file, force), replaceWith(file, text))

const replaceWith = (file: string, text: string): Effect.Effect<void, CommandError> =>
  Effect.try({
    try: () => {
      // Nobody else's, also of a process that was killed; whoever guesses it gets the better of nothing but this writing.
      const temporary = `${file}.${process.pid}-${process.hrtime.bigint()}.tmp`
      try {
        const handle = fs.openSync(temporary, fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL, 0o600)
        try {
          fs.fchmodSync(handle, 0o600)
          fs.writeFileSync(handle, text)
          fs.fsyncSync(handle)
        } finally {
          fs.closeSync(handle)
        }
        fs.renameSync(temporary, file)
      } catch (cause) {
        fs.rmSync(temporary, { force: true })
        throw cause
      }
      flushDirectory(path.dirname(file))
    },
    catch: envFileError(file)
  })

/** Says so when git has the file, or would take it. */
export const warnIfTracked = Effect.fnUntraced(function* (file: string) {
  const directory = path.dirname(file)
  if (!isInRepository(directory)) return
  // A hook of the repository must not run because somebody writes a file into it.
  const ask = (...args: ReadonlyArray<string>) =>
    Effect.callback<number | string>((resume) => {
      const all = ["-c", "core.fsmonitor=false", "-C", directory, ...args, "--", path.basename(file)]
      execFile("git", all, { timeout: 2_000 }, (error) =>
        resume(Effect.succeed(error === null ? 0 : (error.code ?? -1)))
      )
    })
  if ((yield* ask("ls-files", "--error-unmatch")) === 0) {
    return yield* printWarning(
      "env",
      `git keeps ${file}, so its values will be committed; git rm --cached takes it out`
    )
  }
  if ((yield* ask("check-ignore", "--quiet")) === 1) {
    yield* printWarning("env", `git does not ignore ${file}; add it to .gitignore`)
  }
})

const isInRepository = (directory: string): boolean =>
  fs.existsSync(path.join(directory, ".git")) ||
  (directory !== path.dirname(directory) && isInRepository(path.dirname(directory)))

const flushDirectory = (directory: string): void => {
  const handle = fs.openSync(directory, fs.constants.O_RDONLY)
  try {
    fs.fsyncSync(handle)
  } finally {
    fs.closeSync(handle)
  }
}

export const envFileError =
  (file: string) =>
  (cause: unknown): CommandError =>
    new CommandError({
      message: `cannot write ${file} (${reasonOf(cause)})`,
      code: "io_error",
      fix: "Nothing was written. Name another file with --file",
      exitStatus: exitStatus.failed
    })

const refuse = (message: string, fix: string): Effect.Effect<never, CommandError> =>
  Effect.fail(new CommandError({ message, fix, code: "misuse", exitStatus: exitStatus.failed }))
