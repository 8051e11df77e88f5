/**
 * Runs a tool of the system, such as launchctl, and hears what it says.
 *
 * No shell, nothing on standard input, and an end: what does not end in time is
 * killed with all it started. Its output is kept up to a bound.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import * as Stream from "effect/Stream"
import * as ChildProcess from "effect/process/ChildProcess"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"

export type ToolEnvironment = Readonly<Record<string, string | undefined>>

/** A command and its arguments. */
export type CommandLine = readonly [command: string, ...rest: ReadonlyArray<string>]

/** A tool did not do what it was asked to; `fix` is what a person can do. */
export class ToolFailed extends Data.TaggedError("ToolFailed")<{
  readonly words: CommandLine
  readonly reason: string
  readonly fix: string
}> {
  override get message() {
    return `${this.words.join(" ")}: ${this.reason}`
  }
}

export interface ToolResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Above what a stop and a start may take together, each by the supervisor's own limits. */
const deadline = Duration.seconds(45)
const keptOutput = 4 * 1024 * 1024

/** Runs it to its end, whatever its exit status is. */
export const runTool = Effect.fnUntraced(
  function* (words: CommandLine, environment: ToolEnvironment) {
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const [command, ...rest] = words
    const tool = yield* spawner.spawn(
      ChildProcess.make(command, rest, { ...alone(environment), killSignal: "SIGKILL" })
    )
    const [stdout, stderr, status] = yield* Effect.all([collect(tool.stdout), collect(tool.stderr), tool.exitCode], {
      concurrency: "unbounded"
    })
    const said: ToolResult = { status, stdout, stderr }
    return said
  },
  Effect.scoped,
  (effect, words) =>
    effect.pipe(
      Effect.timeoutOrElse({
        duration: deadline,
        orElse: () => Effect.fail(toolFailed(words, `it did not end within ${Duration.toSeconds(deadline)} s`, ""))
      }),
      Effect.catchTag("PlatformError", (error) => Effect.fail(notRun(words, error)))
    )
)

/** Runs it on our own standard output, for as long as it likes. */
export const showTool = Effect.fnUntraced(
  function* (words: CommandLine, environment: ToolEnvironment) {
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const [command, ...rest] = words
    const tool = yield* spawner.spawn(
      ChildProcess.make(command, rest, { ...alone(environment), stdout: "inherit", stderr: "inherit" })
    )
    return yield* tool.exitCode
  },
  Effect.scoped,
  (effect, words) => Effect.catchTag(effect, "PlatformError", (error) => Effect.fail(notRun(words, error)))
)

export const toolFailed = (words: CommandLine, reason: string, fix: string): ToolFailed =>
  new ToolFailed({ words, reason, fix })

/** The first line of what it complained about, or its exit status if it said nothing. */
export const toolMessage = ({ status, stderr, stdout }: ToolResult): string => {
  const line = `${stderr}\n${stdout}`.split("\n").find((one) => one.trim() !== "")
  return line === undefined ? `exit status ${status}` : `${line.trim().slice(0, 300)} (exit status ${status})`
}

const notRun = (words: CommandLine, { reason }: PlatformError): ToolFailed =>
  reason._tag === "NotFound"
    ? toolFailed(words, `there is no ${words[0]} on the PATH`, "Run the daemon yourself: secrets serve")
    : toolFailed(words, `it could not be run, or was killed (${reason._tag})`, "")

/** Nothing of ours but the environment that it was given. */
const alone = (environment: ToolEnvironment) =>
  ({ stdin: "ignore", cwd: "/", env: given(environment), extendEnv: false }) as const

const given = (environment: ToolEnvironment): Record<string, string> =>
  Object.fromEntries(
    Object.entries({
      ...environment,
      NODE_OPTIONS: undefined,
      LC_ALL: "C",
      SYSTEMD_COLORS: "0",
      SYSTEMD_PAGER: ""
    }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  )

const collect = <E>(stream: Stream.Stream<Uint8Array, E>) =>
  Stream.runFold(
    stream,
    () => ({ pieces: Array<Uint8Array>(), length: 0 }),
    ({ length, pieces }, piece) => {
      if (length < keptOutput) pieces.push(piece)
      return { pieces, length: length + piece.length }
    }
  ).pipe(Effect.map(({ pieces }) => Buffer.concat(pieces).toString("utf8")))
