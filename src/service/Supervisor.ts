/**
 * Who keeps the daemon alive: launchd or systemd, for a user or for the system.
 *
 * A supervisor is asked by the tools that it comes with. What is to be run is data, so
 * that a dry run prints exactly what would be done. Nothing here writes a file.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { ServiceFile, ServiceOptions } from "./ServiceOptions.ts"
import type { ToolEnvironment, ToolFailed, CommandLine } from "./runTool.ts"

export interface SupervisorStep {
  readonly words: CommandLine
  /** The exit statuses that are as good as 0, such as "it was not there". */
  readonly passes?: ReadonlyArray<number>
  /** The tool returns before the job is gone; whoever goes on at once would be refused. */
  readonly untilGone?: boolean
}

/** What a supervisor can be had to do with a service. */
export type SupervisorVerb =
  /** Reads its files, and starts it now and with every login or boot. */
  | "load"
  /** Ends it, and never starts it again. */
  | "unload"
  | "start"
  /** Ends it until the next login or boot. */
  | "stop"
  | "restart"

export interface JobState {
  /** `unloaded`: the supervisor does not know it. `failing`: it ended, and waits to be started again. `failed`: it was given up. */
  readonly phase: "unloaded" | "stopped" | "starting" | "running" | "failing" | "failed"
  /** Whether it is started with the next login or boot. */
  readonly enabled: boolean
  readonly pid: number | undefined
  /** How often it was started again; undefined if the supervisor does not count. */
  readonly restarts: number | undefined
  readonly lastEnd: LastExit | undefined
  /** The file was changed and not read since. */
  readonly outdated: boolean
}

/** What is known of a job that the supervisor does not know. */
export const unknownJob: JobState = {
  phase: "unloaded",
  enabled: false,
  pid: undefined,
  restarts: undefined,
  lastEnd: undefined,
  outdated: false
}

export type LastExit = { readonly status: number } | { readonly signal: string }

export interface LogRequest {
  readonly lines: number
  readonly follow: boolean
}

export interface SupervisorShape {
  readonly name: "launchd" | "systemd"
  readonly scope: "user" | "system"
  /** Whether its restart lets the daemon end in order; where nobody has written that down, the daemon is asked first. */
  readonly restartsInOrder: boolean
  /** The environment its tools are run in. */
  readonly environment: ToolEnvironment
  /** Every file that a service may have, the one that is always there first. */
  readonly places: readonly [string, ...ReadonlyArray<string>]
  readonly files: (options: ServiceOptions) => ReadonlyArray<ServiceFile>
  /** `withSocket`: whether the supervisor keeps the socket. */
  readonly steps: (verb: SupervisorVerb, withSocket: boolean) => ReadonlyArray<SupervisorStep>
  /** Reads the files again that were put back or taken away. */
  readonly reread: ReadonlyArray<SupervisorStep>
  readonly state: Effect.Effect<JobState, ToolFailed>
  /** What a person should know after an installation. */
  readonly remarks: Effect.Effect<ReadonlyArray<string>>
  /** Prints what the daemon said. */
  readonly logs: (request: LogRequest, log: string) => CommandLine
  readonly homeOf: (user: string) => Effect.Effect<string, ToolFailed>
  readonly run: (step: SupervisorStep) => Effect.Effect<void, ToolFailed>
}

export class Supervisor extends Context.Service<Supervisor, SupervisorShape>()("agent-secrets/Supervisor") {}
