/**
 * The outcome of a command, printed: a result, or a problem in up to three lines.
 *
 * Standard output gets the result and nothing else. A problem goes to standard error, or
 * with --json into the envelope on standard output.
 */
import { writeSync } from "node:fs"
import { exitStatus } from "../../domain/exitStatus.ts"

export interface Output {
  readonly result: unknown
  /** Printed as it is; undefined for nothing. */
  readonly text: string | undefined
  /** Printed beside the result of a command that succeeded only in part. */
  readonly problem?: Problem | undefined
  /** The exit status of the program that the command ran; nothing else is printed. */
  readonly ranProgram?: number
}

/** Why a command failed. Its texts never hold a value. */
export interface Problem {
  /** What failed. */
  readonly message: string
  /** The cause or the place, unless the message names it. */
  readonly why?: string | undefined
  /** What to do. */
  readonly fix: string
  /** For programs: the tag of the daemon's error, or for the command's own problems one of the predecessor's words, such as misuse. */
  readonly code: string
  readonly exitStatus: number
}

/** Returns a problem of the command line, which must not quote what may be a value. */
export const usageError = (message: string, fix: string): Problem => ({
  message,
  fix,
  code: "misuse",
  exitStatus: exitStatus.usage
})

/** Prints the outcome; returns the exit status. */
export const printOutput = (name: string, json: boolean, { problem, ranProgram, result, text }: Output): number => {
  if (ranProgram !== undefined) return ranProgram
  if (!json) print(text ?? "")
  if (problem !== undefined) return printProblem(name, json, problem, result)
  return json
    ? print(envelope({ ok: true, success: true, command: `secrets ${name}`.trimEnd(), result }))
    : exitStatus.done
}

/** Prints the problem; returns the exit status. */
export const printProblem = (name: string, json: boolean, problem: Problem, result?: unknown): number => {
  const { code, fix, message, why } = problem
  if (json) {
    const error = { message: why === undefined ? message : `${message}: ${why}`, code, exit_status: problem.exitStatus }
    print(envelope({ ok: false, success: false, command: `secrets ${name}`.trimEnd(), result, error, fix }))
  } else {
    const more = [why, fix].filter((line) => line !== undefined && line !== "").map((line) => `  ${line}\n`)
    isStreaming = true
    process.stderr.write(harmless(`${`secrets ${name}`.trimEnd()}: ${message}\n${more.join("")}`))
  }
  return problem.exitStatus
}

/** Escapes control characters: arguments and paths are printed as given, and a terminal would obey them. */
const harmless = (text: string): string =>
  text.replace(/(?!\n)\p{Cc}/gu, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`
  })

const envelope = (content: object): string => `${JSON.stringify(content, undefined, 2)}\n`

/** Whether a stream may still have data to write. */
let isStreaming = false

/**
 * Writes all of the text to standard output, or ends the process with an error. It writes synchronously as long as
 * possible: creating Node's stream is slow, and a stream does not report a full disk.
 */
export const print = (text: string): number => {
  let rest = Buffer.from(text)
  // A synchronous write would overtake what the stream has not written yet.
  if (!isStreaming) {
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) return cannotPrint(error)
    }
  }
  if (rest.length > 0) printByStream(rest)
  return exitStatus.done
}

/** Writes through Node's stream, which does not block on a slow reader. */
export const printByStream = (text: string | Buffer): void => {
  isStreaming = true
  if (process.stdout.listenerCount("error") === 0) process.stdout.once("error", cannotPrint)
  process.stdout.write(text)
}

/** Ends the process because the output is incomplete; silently if the reader closed the pipe. */
const cannotPrint = (error: unknown): never => {
  const code = reasonOf(error)
  if (code !== "EPIPE") {
    const fix = "Free disk space, or redirect it elsewhere. The output so far is incomplete"
    process.stderr.write(`secrets: cannot write to standard output: ${code}\n  ${fix}\n`)
  }
  return process.exit(exitStatus.failed)
}

/** Ends the process with this status when everything is written. */
export const exitWith = (status: number): void => {
  if (isStreaming) process.exitCode = status
  else process.exit(status)
}

/** Returns why a system call failed: its error code such as EACCES, or the message of an error of ours. */
export const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return "unknown"
  return "code" in cause ? String(cause.code) : cause.message
}
