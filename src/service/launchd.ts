/**
 * launchd, through launchctl. Relied on: `bootout` returns before the job is gone, and for some
 * seconds `bootstrap` then exits with 5; 113 means "not registered", and 37 from `kickstart`
 * "already running"; a disabled label stays disabled until `enable`. The output of `print` is
 * no stable interface: what it does not match is a job that is not running.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as path from "node:path"
import { exitStatus } from "../domain/exitStatus.ts"
import type { CommandLine, Environment } from "../process/runTool.ts"
import { toolFailed, toolMessage } from "../process/runTool.ts"
import { launchdPlist, plistLog, plistRequiredPaths } from "./launchdPlist.ts"
import { launchdLabel } from "./ServiceOptions.ts"
import type { JobState, LastExit, StepOptions, Supervisor, SupervisorStep, SupervisorVerb } from "./Supervisor.ts"
import { hintFor, runStep, runSupervisorTool, unloadedJob } from "./Supervisor.ts"

export interface LaunchdOptions {
  /** The user whose session it belongs to; undefined for a system service. */
  readonly uid: number | undefined
  /** The directory of the property list. */
  readonly directory: string
  readonly environment: Environment
  /** How launchctl is run; the default starts the real one. */
  readonly run?: StepOptions["run"]
}

const notRegistered = 113
/** The user has no session on the screen, and so no domain for agents: 112 of `print`, 125 of the others. */
const noDomain = [112, 125]
const noDomainFix = "Log in on the screen of this Mac first, or use --system"

export const launchdSupervisor = (options: LaunchdOptions): Supervisor => {
  const { directory, environment, run = (command) => runSupervisorTool(command, environment), uid } = options
  const domain = uid === undefined ? "system" : `gui/${uid}`
  const target = `${domain}/${launchdLabel}`
  const file = `${directory}/${launchdLabel}.plist`
  const state = Effect.gen(function* () {
    const command: CommandLine = ["launchctl", "print", target]
    const result = yield* run(command)
    if (result.status === 0) return parsePrint(result.stdout.toString())
    if (result.status === notRegistered || /could not find service/i.test(result.stderr)) return unloadedJob
    if (noDomain.includes(result.status)) return { ...unloadedJob, fix: noDomainFix }
    return yield* toolFailed(command, toolMessage(result), hintFor(hints, result))
  })
  /** What launchctl lists about the label; macOS has a switch of its own besides, in Login Items. */
  const disabledLine = Effect.map(
    Effect.option(run(["launchctl", "print-disabled", domain])),
    Option.match({
      onNone: () => undefined,
      onSome: ({ stdout }) => listedIn(stdout.toString())
    })
  )
  const isGone = Effect.map(state, ({ phase }) => phase === "unloaded")
  return {
    name: "launchd",
    scope: uid === undefined ? "system" : "user",
    restartsGracefully: false,
    environment,
    paths: [file],
    requiredPaths: plistRequiredPaths,
    render: (service) => [{ path: file, text: launchdPlist(service) }],
    steps: (verb) => steps(verb, { domain, target, file }),
    reload: [],
    state,
    notes: ({ program, runtime }) => [
      `macOS may report a background item "${path.basename(runtime ?? program)}": it is this service`,
      ...(uid === undefined
        ? []
        : ["The daemon runs while you are logged in. To start it at boot, install with --system"])
    ],
    logs: ({ follow, lines }, text) => ["tail", "-n", String(lines), ...(follow ? ["-F"] : []), plistLog(text)],
    homeOf: Effect.fnUntraced(function* (user) {
      const command: CommandLine = ["dscacheutil", "-q", "user", "-a", "name", user]
      const { stdout } = yield* run(command)
      const [, home] = /^dir: (\/.*)$/m.exec(stdout.toString()) ?? []
      return home ?? (yield* toolFailed(command, `there is no user ${user}`, "Create the account first"))
    }),
    run: (step) =>
      Effect.catchIf(
        runStep(step, { run, hints, isGone }),
        () => step.command[1] === "bootstrap",
        (error) =>
          Effect.flatMap(disabledLine, (line) =>
            toolFailed(error.command, line === undefined ? error.reason : `${error.reason}; ${line}`, error.fix)
          )
      )
  }
}

const steps = (
  verb: SupervisorVerb,
  names: Readonly<Record<"domain" | "target" | "file", string>>
): ReadonlyArray<SupervisorStep> => {
  const { domain, file, target } = names
  const enable: SupervisorStep = { command: ["launchctl", "enable", target] }
  // 3: no such process. 36: operation in progress.
  const bootout: SupervisorStep = {
    command: ["launchctl", "bootout", target],
    acceptedStatuses: [3, 36, notRegistered, ...noDomain],
    waitUntilGone: true
  }
  // 5 (on older systems 17 or 37): loaded already, or the job that was booted out is not cleaned up yet.
  const bootstrap: SupervisorStep = {
    command: ["launchctl", "bootstrap", domain, file],
    retriedStatuses: [5, 17, 37]
  }
  // 37: already running, usually by RunAtLoad. 5: now and then on macOS 26. Whether the daemon serves is checked afterwards.
  const kickstart = (...flags: ReadonlyArray<string>): SupervisorStep => ({
    command: ["launchctl", "kickstart", ...flags, target],
    acceptedStatuses: [5, 37]
  })
  switch (verb) {
    case "load":
    case "start":
      // Soon after a bootout, RunAtLoad alone may leave the job waiting for minutes.
      return [enable, bootstrap, kickstart()]
    case "unload":
    case "stop":
      // KeepAlive restarts a job that is only killed.
      return [bootout]
    case "restart":
      return [kickstart("-k")]
  }
}

/** Finds our label in the output of `launchctl print-disabled`: `"LABEL" => disabled`, or `true` on older systems. */
const listedIn = (text: string): string | undefined => {
  const [, value] = new RegExp(`"${launchdLabel.replaceAll(".", "\\.")}" => (\\w+)`).exec(text) ?? []
  return value === undefined ? undefined : `launchctl print-disabled: ${value}`
}

/** Parses `launchctl print`. Only the properties of the job itself are indented by one tab. */
export const parsePrint = (text: string): JobState => {
  const properties = new Map(
    text.split("\n").flatMap((line) => {
      const [, name = "", value = ""] = /^\t([a-z][a-z ]*) = (.*)$/.exec(line) ?? []
      return name === "" ? [] : [[name, value] as const]
    })
  )
  const runs = wholeNumber(properties.get("runs"))
  const pid = wholeNumber(properties.get("pid"))
  const lastExit = lastExitIn(properties)
  return {
    phase: phaseOf(properties.get("state"), lastExit, runs),
    enabled: true,
    pid,
    restarts: runs === undefined ? undefined : Math.max(0, runs - 1),
    lastExit,
    needsReload: false
  }
}

const phaseOf = (state: string | undefined, lastExit: LastExit | undefined, runs = 0): JobState["phase"] => {
  if (state === "running") return "running"
  // launchd's own helper is about to become the program.
  if (state === "xpcproxy" || state === "spawning") return "starting"
  return lastExit === undefined && runs < 3 ? "starting" : "failing"
}

/**
 * Reads `last exit code = 78: EX_CONFIG` or `(never exited)`, `last terminating signal = Killed: 9`,
 * `last exit reason = OS_REASON_CODESIGNING`; with `job state = spawn failed`, the 78 is launchd's own.
 */
const lastExitIn = (properties: ReadonlyMap<string, string>): LastExit | undefined => {
  const status = wholeNumber(properties.get("last exit code"))
  if (properties.get("job state") === "spawn failed")
    return { status: status ?? exitStatus.badConfig, by: "supervisor" }
  const [reason] = /^[A-Z][\w |:,-]*/.exec(properties.get("last exit reason") ?? "") ?? []
  if (reason !== undefined) return { reason }
  const signal = properties.get("last terminating signal")
  if (signal !== undefined) return { signal }
  return status === undefined ? undefined : { status }
}

const wholeNumber = (text: string | undefined): number | undefined => {
  const [digits] = /^\d+/.exec(text ?? "") ?? []
  return digits === undefined ? undefined : Number(digits)
}

const hints: StepOptions["hints"] = [
  [/\(exit status 1(12|25)\)|domain does not support|could not find domain/i, noDomainFix],
  [/not permitted|\b1\b.*privilege/i, "Run it as root: sudo secrets daemon … --system"],
  [
    /input\/output error|service is disabled|\(exit status (5|119)\)/i,
    "Check that it is enabled in System Settings, General, Login Items, and that you own the property list"
  ]
]
