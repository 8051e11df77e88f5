/**
 * Why the system could not start a program, from its error and from the file.
 *
 * The system's ENOENT also means that the interpreter of a script, or the loader of a binary,
 * is missing. No text holds an argument or the value of a variable.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { escapeValue } from "../../../domain/escape.ts"
import { isExecutableFile } from "../../../process/programPath.ts"
import { CommandError } from "../../command/CommandError.ts"

/** The exit statuses of shells. */
const notFound = 127
const notExecutable = 126

/** What was to be started. */
interface StartAttempt {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string | undefined>>
}

interface Explanation {
  readonly cause: string
  readonly fix: string
}

/** Returns the problem of a program that did not start, with the exit status of shells. */
export const explainStart = (options: StartAttempt, code: string): CommandError => {
  const { command, env } = options
  const file = findProgram(command, env["PATH"] ?? "/bin:/usr/bin")
  const isMissing = code === "ENOENT" && file === undefined
  const { cause, fix } = isMissing
    ? { cause: "no such program", fix: "Check the PATH. Shell syntax needs a shell: sh -c '…'" }
    : code === "E2BIG"
      ? tooLong(options)
      : ((file === undefined ? undefined : brokenFile(file)) ?? {
          cause: code,
          fix: "Check that it is executable: ls -l"
        })
  return new CommandError({
    message: `cannot run ${escapeValue(command)}: ${cause}`,
    code: "io_error",
    fix,
    exitStatus: isMissing ? notFound : notExecutable
  })
}

/** Returns the problem of a program that cannot be started; undefined if the system has to try. */
export const explainUnstartable = (options: StartAttempt): CommandError | undefined => {
  const file = findProgram(options.command, options.env["PATH"] ?? "/bin:/usr/bin")
  if (file === undefined) return explainStart(options, "ENOENT")
  if (!isExecutableFile(file)) return explainStart(options, "EACCES")
  return brokenFile(file) === undefined ? undefined : explainStart(options, "ENOENT")
}

/** Returns the file that execvp(3) finds. */
const findProgram = (command: string, searchPath: string): string | undefined => {
  const candidates = command.includes("/")
    ? [command]
    : searchPath.split(":").map((directory) => path.join(directory || ".", command))
  return candidates.find(isExecutableFile) ?? candidates.find((file) => fs.existsSync(file))
}

/** Returns what is wrong with a program that exists; undefined if nothing is seen. `depth` limits scripts that interpret scripts. */
const brokenFile = (file: string, depth = 0): Explanation | undefined => {
  if (fs.statSync(file).isDirectory()) return { cause: "it is a directory", fix: "Name a program in it" }
  const head = beginningOf(file)
  const shown = escapeValue(file)
  const [, interpreter, rest = ""] = /^#![ \t]*([^ \t\n]+)([^\n]*)/.exec(head) ?? []
  if (interpreter !== undefined) {
    if (fs.existsSync(interpreter)) return depth < 4 ? brokenFile(interpreter, depth + 1) : undefined
    const cause = `its interpreter ${escapeValue(interpreter)} does not exist`
    return `${interpreter}${rest}`.endsWith("\r")
      ? {
          cause: `${cause}: its first line ends in a carriage return`,
          fix: `Remove the carriage returns: tr -d '\\r' < ${shown} > NEW`
        }
      : { cause, fix: `Install it, or correct the first line of ${shown}` }
  }
  const [, loader] = head.startsWith("\u007fELF") ? (/\0(\/[^\0]*\/ld[^\0/]*)\0/.exec(head) ?? []) : []
  return loader === undefined || fs.existsSync(loader)
    ? undefined
    : { cause: `its loader ${escapeValue(loader)} does not exist`, fix: "Use a build of it for this system" }
}

const beginningOf = (file: string): string => {
  const bytes = Buffer.alloc(4096)
  try {
    const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
    try {
      return bytes.toString("latin1", 0, fs.readSync(fd, bytes))
    } finally {
      fs.closeSync(fd)
    }
  } catch {
    return ""
  }
}

/** How many of the longest variables are named. */
const namedVariables = 3

const tooLong = ({ args, env }: Pick<StartAttempt, "args" | "env">): Explanation => {
  const variables = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, bytes: Buffer.byteLength(`${name}=${value}`) + 1 }]
  )
  const longest = variables.toSorted((a, b) => b.bytes - a.bytes).slice(0, namedVariables)
  const argumentBytes = args.reduce((sum, word) => sum + Buffer.byteLength(word) + 1, 0)
  const variableBytes = variables.reduce((sum, { bytes }) => sum + bytes, 0)
  const names = longest.map(({ name, bytes }) => `${escapeValue(name)} (${bytes})`).join(", ")
  return {
    cause: `its arguments (${argumentBytes} bytes) and variables (${variableBytes} bytes) exceed the system's limit`,
    fix: `Shorten them. The longest variables: ${names}`
  }
}
