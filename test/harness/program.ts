/**
 * Starts the built program as users do, and collects its output and exit status.
 */
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { ignoredSignals } from "../../src/cli/commands/serve/ignoredSignals.ts"
import { givenMacVariables } from "./macShim.ts"

/** The program under test; AGENT_SECRETS_PROGRAM names another build, such as the binary dist/secrets. */
export const program = path.resolve(
  import.meta.dirname,
  "../..",
  process.env["AGENT_SECRETS_PROGRAM"] ?? "dist/secrets.mjs"
)

/** Whether Node runs the program; the binary takes no Node options. */
export const isScript = program.endsWith(".mjs")

/** The signals that the program ignores on this system. Bun does not support SIGSTKFLT, so the binary ends on it. */
export const survivedHere = ignoredSignals.filter(
  (signal) => Object.hasOwn(os.constants.signals, signal) && (isScript || signal !== "SIGSTKFLT")
)

/** Installs it below a prefix, as `npm install --global` does: a directory of files and a link, or the binary alone. */
export const installProgram = (prefix: string): string => {
  const [directory, installed] = [path.join(prefix, "lib/agent-secrets"), path.join(prefix, "bin/secrets")]
  fs.mkdirSync(path.dirname(installed), { recursive: true })
  if (!isScript) {
    fs.copyFileSync(program, installed)
    return installed
  }
  fs.mkdirSync(directory, { recursive: true })
  for (const file of fs.readdirSync(path.dirname(program)).filter((name) => /\.[cm]js$/.test(name)))
    fs.copyFileSync(path.join(path.dirname(program), file), path.join(directory, file))
  fs.symlinkSync(path.join(directory, path.basename(program)), installed)
  return installed
}

/** The command line that starts the program. */
export const invocation: ReadonlyArray<string> = isScript ? [process.execPath, program] : [program]

/** The same, quoted for a shell. */
export const shellWords = invocation.map((word) => `"${word}"`).join(" ")

/**
 * What the tests add to the environment of a command: where Node keeps the compiled program, so that it is compiled
 * once for all of them. The daemon refuses that variable.
 */
export const commandVariables = (args: ReadonlyArray<string>): Readonly<Record<string, string>> => {
  const compiled = process.env["NODE_COMPILE_CACHE"]
  return compiled === undefined || args.includes("serve") ? {} : { NODE_COMPILE_CACHE: compiled }
}

/** The same for the stand-ins of tests, as assignments in a line of shell. */
export const shellVariables = Object.entries(commandVariables([]))
  .map(([name, value]) => `${name}='${value}'`)
  .join(" ")

export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Started {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Promise<Ended>
}

export interface RunOptions {
  readonly home: string
  /** Added to an environment of HOME and PATH. */
  readonly env?: Readonly<Record<string, string>>
  /** The standard input; none if undefined. */
  readonly stdin?: string | Uint8Array
  /** Options for Node; ignored for the binary. */
  readonly nodeOptions?: ReadonlyArray<string>
  /** A shell command that runs the program as "$@". */
  readonly through?: string
}

/** Starts the program; the caller ends it. */
export const start = (args: ReadonlyArray<string>, options: RunOptions): Started => {
  const [runtime = "", ...script] = invocation
  const line = [runtime, ...(isScript ? (options.nodeOptions ?? []) : []), ...script, ...args]
  const [command = "", ...rest] =
    options.through === undefined ? line : ["/bin/sh", "-c", options.through, "sh", ...line]
  const child = spawn(command, rest, {
    env: { HOME: options.home, PATH: "/usr/bin:/bin", ...givenMacVariables, ...commandVariables(args), ...options.env },
    stdio: [options.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    // Without the terminal of the person who runs the tests.
    detached: true
  })
  const pieces = { stdout: "", stderr: "" }
  child.stdout?.on("data", (piece) => (pieces.stdout += piece))
  child.stderr?.on("data", (piece) => (pieces.stderr += piece))
  child.stdin?.on("error", () => undefined)
  if (options.stdin !== undefined) child.stdin?.end(options.stdin)
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (status, signal) => resolve({ status, signal, ...pieces }))
  })
  return { child, stdout: () => pieces.stdout, stderr: () => pieces.stderr, ended }
}

/** Runs one command until it exits. */
export const run = (args: ReadonlyArray<string>, options: RunOptions): Effect.Effect<Ended> =>
  Effect.promise(() => start(args, options).ended)

export const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))
