/**
 * The outcome of a command, printed: a result, or a problem in a few lines.
 *
 * Standard output gets the result and nothing else. A problem goes to standard error, or
 * with --json into the envelope on standard output. All that is printed is escaped here, also
 * for a pipe, which often ends on a terminal; only `printVerbatim` does not.
 */
import { writeSync } from "node:fs"
import { escapeJson, escapeLine } from "../../domain/escape.ts"
import { exitStatus } from "../../domain/exitStatus.ts"
import { systemErrorCode, systemErrorText } from "../../domain/systemError.ts"

export interface Output {
  readonly result: unknown
  /** Members of the envelope beside `result`, for callers that look there; never `message`, which they take for a failure. */
  readonly beside?: Readonly<Record<string, string>>
  /** What people read: one line each, without a line feed. */
  readonly lines?: ReadonlyArray<string>
  /** Printed before them and as it is: values, scripts and metrics. */
  readonly verbatim?: string
  /** Printed beside the result of a command that succeeded only in part. */
  readonly problem?: Problem | undefined
  /** The exit status of the program that the command ran; nothing else is printed. */
  readonly ranProgram?: number
  /** Takes back what this hands out, such as a lease, if it cannot be printed. */
  readonly undo?: () => Promise<unknown>
}

/** Why a command failed. Its texts never hold a value. */
export interface Problem {
  /** What failed. */
  readonly message: string
  /** The cause or the place, unless the message names it; a list has a line for each. */
  readonly why?: string | ReadonlyArray<string> | undefined
  /** What to do. */
  readonly fix: string
  /** For programs: the tag of the daemon's error, or for the command's own problems one of the predecessor's words, such as misuse. */
  readonly code: string
  readonly exitStatus: number
  /** The file that this user may not use; `explainAccess` adds whose it is. */
  readonly denied?: string
  /** The socket where nothing listens, and the system's reason; `explainAbsent` adds what is known. */
  readonly absent?: { readonly socketPath: string; readonly code: string }
  /** The request that waits for a person, for programs. */
  readonly request?: { readonly request_id: string; readonly expires_at: string }
}

/** Returns a problem of the command line, which must not quote what may be a value. */
export const usageError = (message: string, fix: string): Problem => ({
  message,
  fix,
  code: "misuse",
  exitStatus: exitStatus.usage
})

/** Prints the outcome; returns the exit status. */
export const printOutput = (
  name: string,
  json: boolean,
  { beside, lines = [], problem, ranProgram, result, undo, verbatim = "" }: Output
): number => {
  if (ranProgram !== undefined) return ranProgram
  undoPrinted = undo
  if (!json) printVerbatim(verbatim + escapedLines(lines))
  if (problem !== undefined) return printProblem(name, json, problem, result)
  const envelope = { ok: true, success: true, command: commandLine(name), result, ...beside }
  return json ? printJson(envelope, 2) : exitStatus.done
}

/** Prints the problem; returns the exit status. */
export const printProblem = (name: string, json: boolean, problem: Problem, result?: unknown): number => {
  const { code, why = [] } = problem
  const [message, fix] = [cutLine(problem.message), cutLine(problem.fix)]
  const causes = [why].flat().flatMap((line) => (line === "" ? [] : cutLine(line)))
  if (json) {
    const error = {
      message: [message, causes.join("; ")].filter(Boolean).join(": "),
      code,
      exit_status: problem.exitStatus,
      ...problem.request
    }
    printJson({ ok: false, success: false, command: commandLine(name), result, error, fix }, 2)
  } else {
    const more = [...causes, fix].filter((line) => line !== "").map((line) => `  ${line}`)
    printError(escapedLines([`${commandLine(name)}: ${message}`, ...more]))
  }
  return problem.exitStatus
}

/** Writes to standard error. What cannot be written, as on a full disk, does not change the exit status. */
const printError = (text: string): void => {
  isStreaming = true
  process.stderr.on("error", () => {})
  process.stderr.write(text)
}

/** The most characters of a line of a problem, and what is left of a longer one: a name may have 16 KiB. */
const maxLine = 1000
const [lineHead, lineTail] = [600, 300]

/** Leaves out the middle of a long line. */
export const cutLine = (line: string): string =>
  line.length <= maxLine
    ? line
    : `${line.slice(0, lineHead)} … ${line.length - lineHead - lineTail} characters left out … ${line.slice(-lineTail)}`

const commandLine = (name: string): string => `secrets ${name}`.trimEnd()

const escapedLines = (lines: ReadonlyArray<string>): string => lines.map((line) => `${escapeLine(line)}\n`).join("")

/** Prints lines for people. */
export const printLines = (lines: ReadonlyArray<string>): number => printVerbatim(escapedLines(lines))

export const printJson = (value: unknown, indent?: number): number =>
  printVerbatim(`${escapeJson(JSON.stringify(value, undefined, indent))}\n`)

/** Prints a line to standard error directly: `process.stderr` would change the mode of a descriptor that a child shares. */
export const printNotice = (line: string): void => {
  try {
    writeSync(2, escapedLines([line]))
  } catch {
    // Standard error is closed.
  }
}

/** Whether a stream may still have data to write. */
let isStreaming = false

/**
 * Writes all of the text to standard output as it is, or ends the process with an error. It writes synchronously as
 * long as possible: creating Node's stream is slow, and a stream does not report a full disk.
 */
export const printVerbatim = (text: string): number => {
  let rest = Buffer.from(text)
  // A synchronous write would overtake what the stream has not written yet.
  if (!isStreaming) {
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) return cannotPrint(error)
    }
  }
  if (rest.length > 0) streamVerbatim(rest)
  return exitStatus.done
}

/** Writes through Node's stream, which does not block on a slow reader. */
export const streamLines = (lines: ReadonlyArray<string>): void => streamVerbatim(escapedLines(lines))

const streamVerbatim = (text: string | Buffer): void => {
  isStreaming = true
  if (process.stdout.listenerCount("error") === 0) process.stdout.once("error", cannotPrint)
  process.stdout.write(text)
}

/** What takes back that which is printed now. */
let undoPrinted: Output["undo"]
let isUndone = false

/** Sets what takes back that which is printed from now on, if it cannot be printed. */
export const undoUnlessPrinted = (undo: Output["undo"]): void => void (undoPrinted = undo)

/** Returns whether the process is about to end by itself, when that is done. */
export const isUndoing = (): boolean => isUndone

/** Ends the process because the output is incomplete; silently if the reader closed the pipe. */
const cannotPrint = (error: unknown): number => {
  if (isUndone) return exitStatus.failed
  const code = reasonOf(error)
  if (code !== "EPIPE") {
    const fix = code === "EBADF" ? "It is closed:" : "Free disk space or"
    printError(`secrets: cannot write to standard output: ${code}\n  ${fix} redirect it. The output is incomplete\n`)
  }
  if (undoPrinted === undefined) return failNow()
  isUndone = isStreaming = true
  endAfter(undoPrinted())
  return exitStatus.failed
}

const endAfter = (work: Promise<unknown>): void => void work.then(failNow, failNow)

const failNow = (): never => process.exit(exitStatus.failed)

/** Ends the process with this status when everything is written. */
export const exitWith = (status: number): void => {
  if (isStreaming) process.exitCode = status
  else process.exit(status)
}

/** Returns why a system call failed: its error code such as EACCES, or the message of an error of ours. */
export const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return "unknown"
  const error: NodeJS.ErrnoException = cause
  const code = systemErrorCode(error)
  return code !== undefined && code === error.code ? code : systemErrorText(error)
}
