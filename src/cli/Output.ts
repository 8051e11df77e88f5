/**
 * What comes of a command: a result for programs with a text for people, or a
 * problem in three lines. How both are printed, and as what exit status.
 *
 * Standard output gets the result and nothing else; a problem goes to standard
 * error, or, with --json, into the envelope on standard output.
 */
import * as fs from "node:fs"
import { exitCode } from "./exitCode.ts"

export interface Output {
  readonly result: unknown
  /** What goes to standard output as it is; undefined for nothing. */
  readonly text: string | undefined
  /** Where there is a result and it is a bad one: what is wrong, beside it. */
  readonly problem?: Problem | undefined
  /** The exit status of a program that was run and has spoken for itself: nothing is printed beside. */
  readonly ranProgram?: number
}

/** Why a command did not work. None of its texts holds a value. */
export interface Problem {
  /** What did not work. */
  readonly message: string
  /** Why, or where, when the message does not say it. */
  readonly why?: string | undefined
  /** What to do. */
  readonly fix: string
  /** The word for programs, one of the predecessor's: misuse, data_error, timeout, io_error, protocol_error, daemon_unavailable, generic_error. */
  readonly code: string
  readonly exitCode: number
}

/** The command line is wrong. Never quotes what may be a value. */
export const misuse = (message: string, fix: string): Problem => ({
  message,
  fix,
  code: "misuse",
  exitCode: exitCode.usage
})

/** Prints what a command gave; gives the exit status. */
export const printOutput = (name: string, json: boolean, { problem, ranProgram, result, text }: Output): number => {
  if (ranProgram !== undefined) return ranProgram
  if (!json) print(text ?? "")
  if (problem !== undefined) return printProblem(name, json, problem, result)
  return json
    ? print(envelope({ ok: true, success: true, command: `secrets ${name}`.trimEnd(), result }))
    : exitCode.done
}

/** Prints what went wrong; gives the exit status. */
export const printProblem = (name: string, json: boolean, problem: Problem, result?: unknown): number => {
  const { code, fix, message, why } = problem
  if (json) {
    const error = { message: why === undefined ? message : `${message}: ${why}`, code }
    print(envelope({ ok: false, success: false, command: `secrets ${name}`.trimEnd(), result, error, fix }))
  } else {
    const more = [why, fix].filter((line) => line !== undefined && line !== "").map((line) => `  ${line}\n`)
    process.stderr.write(harmless(`${`secrets ${name}`.trimEnd()}: ${message}\n${more.join("")}`))
  }
  return problem.exitCode
}

/** Words of the line and paths are told as they were given; a terminal would obey what is in them. */
const harmless = (text: string): string =>
  text.replace(/[^\P{Cc}\n]/gu, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`
  })

const envelope = (content: object): string => `${JSON.stringify(content, undefined, 2)}\n`

/** Writes to standard output: all of it, or the program ends with a complaint. */
export const print = (text: string): number => {
  if (process.stdout.listenerCount("error") === 0) process.stdout.once("error", cannotPrint)
  try {
    if (fs.fstatSync(1).isFile()) {
      printToFile(Buffer.from(text))
      return exitCode.done
    }
  } catch (error) {
    return cannotPrint(error)
  }
  process.stdout.write(text)
  return exitCode.done
}

/** A disk that becomes full takes some of it first and complains when it is given the rest. Node does not give it that. */
const printToFile = (bytes: Buffer): void => {
  for (let written = 0; written < bytes.length;) written += fs.writeSync(1, bytes, written)
}

/** What is on standard output is not whole. A pipe whose reader has gone is no reason to complain. */
const cannotPrint = (error: unknown): never => {
  const code = error instanceof Error && "code" in error ? error.code : "unknown"
  if (code !== "EPIPE") {
    const problem = `secrets: standard output cannot be written to (${String(code)})`
    process.stderr.write(`${problem}\n  What is there of it is not whole. Make room there, or print elsewhere\n`)
  }
  return process.exit(exitCode.failed)
}
