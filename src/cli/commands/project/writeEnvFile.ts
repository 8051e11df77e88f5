/**
 * Writes variables to a .env file, or to the file that GITHUB_ENV names. A .env file is
 * readable by its owner only from the first byte, and replaced atomically. A file that secrets
 * did not write is not replaced without force, and a symbolic link is not followed.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { escapeValue } from "../../../domain/escape.ts"
import { type EnvVariable, githubLines, parseEnvHeader } from "../../../domain/envFile.ts"
import { exitStatus } from "../../../domain/exitStatus.ts"
import { CommandError, failUsage } from "../../command/CommandError.ts"
import { reasonOf } from "../../command/Output.ts"
import { isOthers, readHead } from "./foreignFile.ts"
import { printWarning } from "./requestedSecrets.ts"

export interface EnvFileTarget {
  readonly file: string
  /** Replaces a file that secrets did not write. */
  readonly force: boolean
  /** The real directory that the file must stay in, if the user did not name the file. */
  readonly within: string | undefined
  /** What the command reads: the output must not replace it. */
  readonly source?: string | undefined
}

/** Rejects a file that must not be replaced. Runs before anything is leased. */
export const checkEnvFileTarget = ({ file, force, source, within }: EnvFileTarget): Effect.Effect<void, CommandError> =>
  Effect.gen(function* () {
    if (isStandardStream(file))
      return yield* reject(`${escapeValue(file)} is no file to write to`, "Print with --file -, or name another")
    const outside = within === undefined ? undefined : yield* attempt(file, () => whyOutside(file, within))
    if (outside !== undefined) return yield* reject(outside, "Remove the cause, or name another with --file")
    const stat = yield* attempt(file, () => {
      fs.accessSync(path.dirname(file), fs.constants.W_OK | fs.constants.X_OK)
      return fs.lstatSync(file, { throwIfNoEntry: false })
    })
    if (stat === undefined) return
    if (!stat.isFile() && !stat.isSymbolicLink())
      return yield* reject(`${escapeValue(file)} is not a regular file`, "Name another with --file")
    if (source !== undefined && isFileOf(source, stat))
      return yield* reject(
        `${escapeValue(file)} is what the command reads, and would be lost`,
        "Name another with --file"
      )
    if (force) return
    if (stat.isSymbolicLink())
      return yield* reject(
        `${escapeValue(file)} is a symbolic link, which is not followed`,
        "Name another with --file, or replace the link with --force"
      )
    if (parseEnvHeader((yield* attempt(file, () => readHead(file)?.text)) ?? "") !== undefined) return
    const { isWritten } = yield* Effect.promise(() => import("../cleanup/writtenFiles.ts"))
    if (!isWritten(file))
      return yield* reject(
        `${escapeValue(file)} exists and was not written by secrets`,
        "Move it away, name another with --file, or replace it with --force"
      )
  })

/** Returns whether a path is a device or an open descriptor, such as /dev/stdout, also where that is a link to a file. */
const isStandardStream = (file: string): boolean => /^\/(?:dev\/(?:fd\/)?|proc\/.*)$/.test(realDirectoryOf(file))

const realDirectoryOf = (file: string): string => {
  try {
    return `${fs.realpathSync(path.dirname(file))}/`
  } catch {
    return file
  }
}

/** Returns whether a path leads to this file; `-` is standard input. */
const isFileOf = (source: string, { dev, ino }: fs.Stats): boolean => {
  try {
    const stats = source === "-" ? [fs.fstatSync(0)] : [fs.statSync(source), fs.lstatSync(source)]
    return stats.some((one) => one.dev === dev && one.ino === ino)
  } catch {
    return false
  }
}

/** Returns why a file is not one of ours in a directory of ours: no link may lead there, and no other user. */
const whyOutside = (file: string, within: string): string | undefined => {
  const steps = path.relative(within, path.dirname(file)).split(path.sep).filter(Boolean)
  const directories = steps.map((_, at) => path.join(within, ...steps.slice(0, at + 1)))
  for (const directory of [within, ...directories]) {
    const stat = fs.lstatSync(directory)
    if (!stat.isDirectory()) return `${escapeValue(directory)} is a symbolic link or no directory`
    if (isOthers(stat)) return `${escapeValue(directory)} belongs to or is writable by another user`
  }
  const stat = fs.lstatSync(file, { throwIfNoEntry: false })
  if (stat?.isSymbolicLink() === true) return `${escapeValue(file)} is a symbolic link, which is not followed`
  return stat !== undefined && stat.uid !== (process.getuid?.() ?? stat.uid)
    ? `${escapeValue(file)} belongs to another user`
    : undefined
}

/** Checks the target again, because it may have changed while leases were granted, and replaces it. */
export const writeEnvFile = (target: EnvFileTarget, text: string): Effect.Effect<void, CommandError> =>
  Effect.andThen(
    checkEnvFileTarget(target),
    attempt(target.file, () => {
      const { file, within } = target
      // Unique also beside the file of a process that was killed.
      const temporary = `${file}.${process.pid}-${process.hrtime.bigint()}.tmp`
      try {
        const handle = fs.openSync(temporary, fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL, 0o600)
        withClose(handle, () => {
          fs.fchmodSync(handle, 0o600)
          fs.writeFileSync(handle, text)
          fs.fsyncSync(handle)
        })
        const outside = within === undefined ? undefined : whyOutside(file, within)
        if (outside !== undefined) throw new Error(outside)
        fs.renameSync(temporary, file)
      } catch (cause) {
        fs.rmSync(temporary, { force: true })
        throw cause
      }
      const directory = fs.openSync(path.dirname(file), fs.constants.O_RDONLY)
      withClose(directory, () => fs.fsyncSync(directory))
    })
  )

const gitTimeout = Duration.seconds(2)

/** Warns if git tracks the file, or does not ignore it. */
export const warnIfTracked = Effect.fnUntraced(function* (command: string, file: string) {
  const directory = path.dirname(file)
  if (!isInRepository(directory)) return
  const { runGit } = yield* Effect.promise(() => import("../../../process/git.ts"))
  const statusOf = (...args: ReadonlyArray<string>) =>
    Effect.map(
      runGit([...args, "--", `./${path.basename(file)}`], {
        cwd: directory,
        inHook: false,
        timeout: gitTimeout
      }),
      (result) => result?.status
    )
  if ((yield* statusOf("--literal-pathspecs", "ls-files", "--error-unmatch")) === 0)
    return yield* printWarning(
      command,
      `git tracks ${escapeValue(file)}, so its values will be committed; run git rm --cached`
    )
  if ((yield* statusOf("check-ignore", "--quiet")) === 1)
    yield* printWarning(command, `git does not ignore ${escapeValue(file)}; add it to .gitignore`)
})

const isInRepository = (directory: string): boolean =>
  fs.existsSync(path.join(directory, ".git")) ||
  (directory !== path.dirname(directory) && isInRepository(path.dirname(directory)))

/** Returns the file that passes variables to later steps of a GitHub job. Runs before anything is leased. */
export const githubFile = Effect.suspend(() => {
  const file = process.env["GITHUB_ENV"] ?? ""
  // Nobody may read a pipe, and what is written to it would be lost.
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() === true
    ? Effect.succeed(file)
    : failUsage(
        "GITHUB_ENV names no regular file",
        "--format github works only in a step of a GitHub job; try shell or json"
      )
})

/** Appends to the file, and never replaces it. */
export const appendGithub = (file: string, variables: ReadonlyArray<EnvVariable>): Effect.Effect<void, CommandError> =>
  attempt(file, () => {
    const handle = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_APPEND)
    withClose(handle, () => {
      const { size } = fs.fstatSync(handle)
      const last = Buffer.alloc(1, "\n")
      if (size > 0) fs.readSync(handle, last, 0, 1, size - 1)
      // node:crypto is loaded only here because it is slow to load.
      const delimiter = `secrets_${crypto.randomUUID()}`
      const lines = githubLines(variables, delimiter)
      fs.writeFileSync(handle, last.toString() === "\n" ? lines : `\n${lines}`)
    })
  })

const withClose = (handle: number, use: () => void): void => {
  try {
    use()
  } finally {
    fs.closeSync(handle)
  }
}

const attempt = <A>(file: string, work: () => A): Effect.Effect<A, CommandError> =>
  Effect.try({
    try: work,
    catch: (cause) =>
      new CommandError({
        message: `cannot write ${escapeValue(file)} (${reasonOf(cause)})`,
        code: "io_error",
        fix: "Nothing was written. Name another file with --file",
        exitStatus: exitStatus.failed
      })
  })

const reject = (message: string, fix: string): CommandError =>
  new CommandError({ message, fix, code: "misuse", exitStatus: exitStatus.failed })
