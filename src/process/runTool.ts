/**
 * Runs a program to its end and captures its output, by `effect/process`.
 *
 * No shell, no standard input, and a process group of its own, which is killed at the
 * timeout and on interruption. A program that needs the terminal is run by `runChild`.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Stream from "effect/Stream"
import * as ChildProcess from "effect/process/ChildProcess"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import { absoluteEntries } from "../domain/paths.ts"
import { recordChild } from "./childRecord.ts"

export type Environment = Readonly<Record<string, string | undefined>>

/** A program and its arguments. */
export type CommandLine = readonly [command: string, ...args: ReadonlyArray<string>]

export interface ToolOptions {
  /** The whole environment of the program. */
  readonly env: Environment
  readonly cwd?: string
  readonly timeout?: Duration.Input
  /** Output beyond this many bytes is read and dropped. */
  readonly maxOutput?: number
}

export interface ToolResult {
  readonly status: number
  readonly stdout: Buffer
  readonly stderr: string
}

/** A program that did not do its work. `fix` is a hint for a person, or empty. */
export class ToolFailed extends Data.TaggedError("ToolFailed")<{
  readonly kind: "not-found" | "timeout" | "failed"
  readonly command: CommandLine
  readonly reason: string
  readonly fix: string
}> {
  override get message() {
    return `${this.command.join(" ")}: ${this.reason}`
  }
}

/** The spawner uses a file system only to check `cwd`, which spawn does too. NodeFileSystem would load node:crypto. */
const spawnerLayer = Layer.provide(NodeChildProcessSpawner.layer, [
  FileSystem.layerNoop({ access: () => Effect.void }),
  Path.layer
])

const defaultMaxOutput = 4 * 1024 * 1024

/**
 * Starts a program, found on the absolute entries of PATH, in the caller's scope, which kills its process group when it
 * closes. The timeout is only recorded.
 */
export const spawnTool = (
  [name, ...args]: CommandLine,
  { cwd = "/", env, timeout = Duration.infinity }: ToolOptions,
  stdio: Pick<ChildProcess.CommandOptions, "stdin" | "stdout" | "stderr"> = {}
) =>
  Effect.gen(function* () {
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const child = {
      cwd,
      env: { ...env, PATH: absoluteEntries(env["PATH"]) },
      extendEnv: false,
      killSignal: "SIGKILL"
    } as const
    const tool = yield* spawner.spawn(ChildProcess.make(name, args, { ...child, stdin: "ignore", ...stdio }))
    yield* recordChild(tool.pid, Duration.toMillis(timeout))
    return tool
  }).pipe(Effect.provide(spawnerLayer))

/** Returns any exit status, and the output. Fails if there is no exit status. */
export const runTool = (command: CommandLine, options: ToolOptions): Effect.Effect<ToolResult, ToolFailed> => {
  const { maxOutput = defaultMaxOutput, timeout = Duration.infinity } = options
  return Effect.gen(function* () {
    const tool = yield* spawnTool(command, options)
    const [stdout, stderr, status] = yield* Effect.all(
      [collect(tool.stdout, maxOutput), collect(tool.stderr, maxOutput), tool.exitCode],
      { concurrency: "unbounded" }
    )
    return { status, stdout, stderr: stderr.toString("utf8") }
  }).pipe(
    Effect.scoped,
    Effect.mapError((error) => spawnFailed(command, error)),
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () => {
        const reason = `no exit within ${Duration.toSeconds(timeout)} s`
        return Effect.fail(new ToolFailed({ kind: "timeout", command, reason, fix: "" }))
      }
    })
  )
}

/** Runs a program, passes on the lines of its output as they come, and returns its exit status. */
export const followTool = (
  command: CommandLine,
  options: ToolOptions,
  show: Readonly<Record<"stdout" | "stderr", (line: string) => void>>
): Effect.Effect<number, ToolFailed> =>
  Effect.gen(function* () {
    const tool = yield* spawnTool(command, options)
    const follow = (name: "stdout" | "stderr") =>
      tool[name].pipe(
        Stream.decodeText,
        Stream.splitLines,
        Stream.runForEach((line) => Effect.sync(() => show[name](line)))
      )
    const streams = [follow("stdout"), follow("stderr")] as const
    const [status] = yield* Effect.all([tool.exitCode, ...streams], { concurrency: "unbounded" })
    return status
  }).pipe(
    Effect.scoped,
    Effect.mapError((error) => spawnFailed(command, error))
  )

export const toolFailed = (command: CommandLine, reason: string, fix: string): ToolFailed =>
  new ToolFailed({ kind: "failed", command, reason, fix })

/**
 * Returns the first line of the program's output, standard error first, with the exit status. launchctl puts the
 * line "Bad request." before its reason.
 */
export const toolMessage = ({ status, stderr, stdout }: ToolResult): string => {
  const line = `${stderr}\n${stdout.toString("utf8", 0, 4096)}`
    .split("\n")
    .find((one) => !/^\s*(bad request\.)?\s*$/i.test(one))
  return line === undefined ? `exit status ${status}` : `${line.trim().slice(0, 300)} (exit status ${status})`
}

const spawnFailed = (command: CommandLine, { reason }: PlatformError): ToolFailed => {
  if (reason._tag === "NotFound")
    return new ToolFailed({ kind: "not-found", command, reason: `${command[0]} is not on the PATH`, fix: "" })
  return reason.method === "exitCode"
    ? toolFailed(command, "killed by a signal", "")
    : toolFailed(command, `could not be run (${reason._tag})`, "")
}

const collect = <E>(stream: Stream.Stream<Uint8Array, E>, max: number) =>
  Stream.runFold(
    stream,
    () => ({ chunks: Array<Uint8Array>(), length: 0 }),
    ({ chunks, length }, chunk) => {
      if (length < max) chunks.push(chunk)
      return { chunks, length: length + chunk.length }
    }
  ).pipe(Effect.map(({ chunks }) => Buffer.concat(chunks)))
