/**
 * The supervisor that keeps the daemon alive: launchd or systemd, of a user or of the system.
 *
 * It is controlled through its own command-line tools. A step is data, so that a dry run
 * prints exactly what would run. Nothing here writes a file.
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { childEnvironment } from "../domain/childEnvironment.ts"
import { exitStatus } from "../domain/exitStatus.ts"
import type { CommandLine, Environment, ToolFailed, ToolOptions, ToolResult } from "../process/runTool.ts"
import { runTool, toolFailed, toolMessage } from "../process/runTool.ts"
import type { ServiceFile } from "./ServiceFile.ts"
import type { ServiceOptions } from "./ServiceOptions.ts"

export interface SupervisorStep {
  readonly command: CommandLine
  /** Exit statuses that count as success besides 0, such as "no such job". */
  readonly acceptedStatuses?: ReadonlyArray<number>
  /**
   * Exit statuses of a tool that either is too early or has nothing to do: success if the supervisor knows the job,
   * otherwise the step is repeated.
   */
  readonly retriedStatuses?: ReadonlyArray<number>
  /** The tool returns before the job is gone, and the next step would be refused until then. */
  readonly waitUntilGone?: boolean
}

/**
 * - `load`: reads the files; starts the service now and at every login or boot.
 * - `unload`: stops it for good.
 * - `stop`: stops it until the next login or boot.
 */
export type SupervisorVerb = "load" | "unload" | "start" | "stop" | "restart"

export interface JobState {
  /** `unloaded`: unknown to the supervisor. `failing`: exited, restart pending. `failed`: exited, no restart. */
  readonly phase: "unloaded" | "stopped" | "starting" | "running" | "failing" | "failed"
  /** Whether the next login or boot starts it. */
  readonly enabled: boolean
  readonly pid: number | undefined
  /** undefined if the supervisor does not count restarts. */
  readonly restarts: number | undefined
  readonly lastExit: LastExit | undefined
  /** Whether the file changed after the supervisor read it. */
  readonly needsReload: boolean
  /** What a person has to do before the supervisor can load it. */
  readonly fix?: string
}

export const unloadedJob: JobState = {
  phase: "unloaded",
  enabled: false,
  pid: undefined,
  restarts: undefined,
  lastExit: undefined,
  needsReload: false
}

/**
 * `by`: the supervisor could not even start the program, and the status is its own. `reason`: why macOS ended it, such
 * as OS_REASON_CODESIGNING.
 */
export type LastExit =
  | { readonly status: number; readonly by?: "supervisor" }
  | { readonly signal: string }
  | { readonly reason: string }

export interface Supervisor {
  readonly name: "launchd" | "systemd"
  readonly scope: "user" | "system"
  /** Whether its restart lets the daemon shut down cleanly. Where that is undocumented, the daemon restarts itself. */
  readonly restartsGracefully: boolean
  readonly environment: Environment
  /** Every file that a service may have; the first one always exists. */
  readonly paths: readonly [string, ...ReadonlyArray<string>]
  /** The files and directories without which the installed first file cannot be run. */
  readonly requiredPaths: (text: string) => ReadonlyArray<string>
  readonly render: (options: ServiceOptions) => ReadonlyArray<ServiceFile>
  /** `withSocket`: whether the supervisor keeps the socket. */
  readonly steps: (verb: SupervisorVerb, withSocket: boolean) => ReadonlyArray<SupervisorStep>
  /** Reads files that were restored or removed. */
  readonly reload: ReadonlyArray<SupervisorStep>
  readonly state: Effect.Effect<JobState, ToolFailed>
  /** Notes for a person after an installation. */
  readonly notes: (service: ServiceOptions) => ReadonlyArray<string>
  /** The command that prints the daemon's log, which the installed first file may name. */
  readonly logs: (request: { readonly lines: number; readonly follow: boolean }, text: string) => CommandLine
  readonly homeOf: (user: string) => Effect.Effect<string, ToolFailed>
  readonly run: (step: SupervisorStep) => Effect.Effect<void, ToolFailed>
}

/** No daemon of the service answers. */
export class NotServing extends Data.TaggedError("NotServing")<{ readonly message: string; readonly fix: string }> {}

/** Above what a stop and a start may take together by the supervisor's own limits. */
const toolTimeout = Duration.seconds(45)

/** Runs a tool of the supervisor: in English, without a pager, and with few of our variables. */
export const runSupervisorTool = (
  command: CommandLine,
  environment: Environment
): Effect.Effect<ToolResult, ToolFailed> =>
  Effect.mapError(runTool(command, { ...toolOptions(environment), timeout: toolTimeout }), (error) =>
    error.kind === "not-found" ? toolFailed(command, error.reason, "Run the daemon yourself: secrets serve") : error
  )

export const toolOptions = (environment: Environment): ToolOptions => ({
  env: {
    ...childEnvironment(environment, (name) =>
      /^(XDG_RUNTIME_DIR|DBUS_(SESSION|SYSTEM)_BUS_ADDRESS|TERM|COLUMNS)$/.test(name)
    ),
    LC_ALL: "C",
    SYSTEMD_COLORS: "0",
    SYSTEMD_PAGER: ""
  }
})

/** Above the shutdown timeout of the service, after which the supervisor kills the daemon and cleans up. */
const settleTimeout = Duration.seconds(15)
const retryInterval = Duration.millis(250)

export interface StepOptions {
  readonly run: (command: CommandLine) => Effect.Effect<ToolResult, ToolFailed>
  /** Hints by what the tool wrote to standard error, with the exit status. */
  readonly hints: ReadonlyArray<readonly [pattern: RegExp, fix: string]>
  readonly isGone: Effect.Effect<boolean, ToolFailed>
}

export const runStep = Effect.fnUntraced(function* (step: SupervisorStep, { hints, isGone, run }: StepOptions) {
  const { acceptedStatuses = [], command, retriedStatuses = [], waitUntilGone = false } = step
  const deadline = (yield* Clock.currentTimeMillis) + Duration.toMillis(settleTimeout)
  for (;;) {
    const result = yield* run(command)
    if (result.status === 0 || acceptedStatuses.includes(result.status)) break
    const isRetried = retriedStatuses.includes(result.status)
    if (isRetried && !(yield* isGone)) break
    if (!isRetried || (yield* Clock.currentTimeMillis) >= deadline) {
      return yield* toolFailed(command, toolMessage(result), hintFor(hints, result))
    }
    yield* Effect.sleep(retryInterval)
  }
  if (!waitUntilGone) return
  yield* isGone.pipe(
    Effect.repeat({ until: (gone) => gone, schedule: Schedule.spaced("100 millis") }),
    Effect.timeoutOrElse({
      duration: settleTimeout,
      orElse: () =>
        Effect.fail(
          toolFailed(command, `the job did not stop within ${Duration.toSeconds(settleTimeout)} s`, "Try again")
        )
    })
  )
})

export const hintFor = (hints: StepOptions["hints"], { status, stderr }: ToolResult): string =>
  hints.find(([pattern]) => pattern.test(`${stderr}\n(exit status ${status})`))?.[1] ?? ""

export const describeExit = (exit: LastExit): string => {
  if ("signal" in exit) return `killed by ${exit.signal}`
  if ("reason" in exit) return `ended by the system, ${exit.reason}`
  if (exit.by !== undefined)
    return "it could not be started: its program, its Node or the directory of its log is missing"
  const meaning = meanings.get(exit.status)?.[0]
  return `exit status ${exit.status}${meaning === undefined ? "" : `, ${meaning}`}`
}

/** Returns a hint if the exit has a lasting cause, which no restart removes. */
export const exitHint = (exit: LastExit | undefined): string | undefined => {
  if (exit === undefined || "signal" in exit) return undefined
  if ("reason" in exit) return /CODESIGN/.test(exit.reason) ? invalidSignature : undefined
  return exit.by === undefined ? meanings.get(exit.status)?.[1] : reinstall
}

export const reinstall = "Install it again: secrets daemon install"

const invalidSignature =
  "Its signature is invalid. Put the binary there again with install or mv, not cp, and check it: codesign --verify"

const meanings: ReadonlyMap<number, readonly [meaning: string, fix: string]> = new Map([
  [
    exitStatus.unreadableStore,
    ["the store cannot be read", "Run secrets serve to see which file and why, then: secrets daemon start"]
  ],
  [
    exitStatus.cannotCreate,
    ["a file or the socket cannot be created", "Check free space and permissions; secrets daemon logs names the file"]
  ],
  [
    exitStatus.alreadyRunning,
    [
      "another daemon is running",
      "Stop the other daemon, whose pid is in secrets daemon logs; the service then takes over by itself"
    ]
  ],
  [
    exitStatus.badConfig,
    ["a setting is invalid", "Correct the setting that secrets daemon logs names, then: secrets daemon start"]
  ],
  // systemd's own exit statuses that an installation can cause.
  [203, ["the program cannot be executed", "Install it again from its current path: secrets daemon install"]],
  [217, ["no such user", "Create the account, or install for another: secrets daemon install --system --user NAME"]],
  [226, ["its mount namespace cannot be set up", "Check that its directories exist: secrets init"]]
])
