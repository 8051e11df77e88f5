/**
 * systemd, through systemctl and journalctl: the manager of a user or of the system.
 *
 * Assumptions: `show` prints properties as NAME=VALUE and exits with 0 for an unknown unit.
 * `start` of a unit of Type=notify returns when the unit is ready or has failed.
 */
import * as Effect from "effect/Effect"
import { constants } from "node:os"
import * as fs from "node:fs"
import type { CommandLine, Environment } from "../process/runTool.ts"
import { toolFailed, toolMessage } from "../process/runTool.ts"
import { serviceUnit, socketUnit } from "./ServiceOptions.ts"
import type { JobState, LastExit, Supervisor, SupervisorStep, SupervisorVerb } from "./Supervisor.ts"
import { runStep, runSupervisorTool } from "./Supervisor.ts"
import { systemdService, systemdSocket } from "./systemdUnits.ts"

export interface SystemdOptions {
  /** The user whose manager it is; undefined for the system manager. */
  readonly user: { readonly name: string; readonly uid: number } | undefined
  /** The directory of the units. */
  readonly directory: string
  readonly environment: Environment
}

export const systemdSupervisor = ({ directory, user, ...options }: SystemdOptions): Supervisor => {
  const environment = user === undefined ? options.environment : withRuntimeDirectory(options.environment, user.uid)
  const scope = user === undefined ? [] : ["--user"]
  const files = { service: `${directory}/${serviceUnit}`, socket: `${directory}/${socketUnit}` }
  const state = Effect.gen(function* () {
    const command: CommandLine = ["systemctl", ...scope, "show", `--property=${properties.join(",")}`, serviceUnit]
    const result = yield* runSupervisorTool(command, environment)
    if (result.status === 0) return parseShow(result.stdout.toString())
    return yield* toolFailed(["systemctl", ...scope, "show", serviceUnit], toolMessage(result), noManager)
  })
  const isGone = Effect.map(state, ({ phase }) => ["unloaded", "stopped", "failed"].includes(phase))
  return {
    name: "systemd",
    scope: user === undefined ? "system" : "user",
    restartsGracefully: true,
    environment,
    paths: [files.service, files.socket],
    requiredPaths: (text) => /^ExecStart=:"?([\w./@+-]+)"?(?:\s|$)/m.exec(text)?.slice(1) ?? [],
    render: (service) => [
      { path: files.service, text: systemdService(service) },
      ...(service.socket === undefined ? [] : [{ path: files.socket, text: systemdSocket(service, service.socket) }])
    ],
    steps: (verb, withSocket) => steps(verb, scope, withSocket),
    reload: [{ command: ["systemctl", ...scope, "daemon-reload"] }],
    state,
    notes: () => (user === undefined ? [] : lingerNotes(user.name)),
    logs: ({ follow, lines }) => {
      const format = ["--no-pager", "--output=short-iso", `--lines=${lines}`, ...(follow ? ["--follow"] : [])]
      return ["journalctl", ...scope, `--unit=${serviceUnit}`, ...format]
    },
    homeOf: Effect.fnUntraced(function* (name) {
      const command: CommandLine = ["getent", "passwd", name]
      const { stdout } = yield* runSupervisorTool(command, environment)
      const home = stdout.toString().split("\n")[0]?.split(":")[5]
      return home?.startsWith("/") === true
        ? home
        : yield* toolFailed(command, `there is no user ${name}`, "Create the account first")
    }),
    run: (step) =>
      runStep(step, {
        run: (command) => runSupervisorTool(command, environment),
        hints: [[/connect to bus|no medium/i, noManager]],
        isGone
      })
  }
}

const steps = (
  verb: SupervisorVerb,
  scope: ReadonlyArray<string>,
  withSocket: boolean
): ReadonlyArray<SupervisorStep> => {
  const units = withSocket ? [socketUnit, serviceUnit] : [serviceUnit]
  const systemctl = (...args: ReadonlyArray<string>): SupervisorStep => ({
    command: ["systemctl", ...scope, ...args]
  })
  // The socket first and on its own: systemd refuses to start it while the service runs.
  const start = units.map((unit) => systemctl("start", unit))
  // 1: no failed unit. 5: no such unit.
  const resetFailed: SupervisorStep = { ...systemctl("reset-failed", serviceUnit), acceptedStatuses: [1, 5] }
  switch (verb) {
    case "load":
      return [systemctl("daemon-reload"), systemctl("enable", ...units), ...start]
    case "unload":
      // 1, 5: the files are gone. The service may still run.
      return [
        { ...systemctl("disable", "--now", ...units), acceptedStatuses: [1, 5], waitUntilGone: true },
        resetFailed
      ]
    case "start":
      return [resetFailed, ...start]
    case "stop":
      return [{ ...systemctl("stop", ...units), waitUntilGone: true }]
    case "restart":
      return [systemctl("restart", serviceUnit)]
  }
}

const properties = [
  "LoadState",
  "UnitFileState",
  "ActiveState",
  "SubState",
  "MainPID",
  "NRestarts",
  "ExecMainCode",
  "ExecMainStatus",
  "NeedDaemonReload"
]

/** Parses `systemctl show`. */
export const parseShow = (text: string): JobState => {
  const values = new Map(
    text.split("\n").map((line) => [line.slice(0, Math.max(0, line.indexOf("="))), line.slice(line.indexOf("=") + 1)])
  )
  const pid = Number(values.get("MainPID") ?? 0)
  const restarts = Number(values.get("NRestarts") ?? 0)
  const lastExit = lastExitIn(values)
  return {
    phase: phaseOf(values, restarts),
    enabled: values.get("UnitFileState") === "enabled",
    pid: pid > 0 ? pid : undefined,
    restarts,
    lastExit,
    needsReload: values.get("NeedDaemonReload") === "yes"
  }
}

const phaseOf = (values: ReadonlyMap<string, string>, restarts: number): JobState["phase"] => {
  switch (values.get("ActiveState")) {
    case "active":
    case "reloading":
      return "running"
    case "activating":
      return values.get("SubState") === "auto-restart" || restarts > 0 ? "failing" : "starting"
    case "failed":
      return "failed"
    case "deactivating":
      return "running"
    default:
      return values.get("LoadState") === "loaded" ? "stopped" : "unloaded"
  }
}

/** Reads ExecMainCode: CLD_EXITED, CLD_KILLED or CLD_DUMPED of siginfo.h, and 0 before the first exit. */
const lastExitIn = (values: ReadonlyMap<string, string>): LastExit | undefined => {
  const status = Number(values.get("ExecMainStatus") ?? 0)
  switch (values.get("ExecMainCode")) {
    case "1":
      return { status }
    case "2":
    case "3":
      return {
        signal: Object.entries(constants.signals).find(([, number]) => number === status)?.[0] ?? String(status)
      }
    default:
      return undefined
  }
}

/** Adds XDG_RUNTIME_DIR, by which systemctl finds the user manager. `sudo -iu` and cron do not set it. */
const withRuntimeDirectory = (environment: Environment, uid: number): Environment => {
  const defaultDirectory = `/run/user/${uid}`
  return (environment["XDG_RUNTIME_DIR"] ?? "") !== "" || !fs.existsSync(defaultDirectory)
    ? environment
    : { ...environment, XDG_RUNTIME_DIR: defaultDirectory }
}

/** Returns what ends the daemon of a user together with the last session, and how to keep it. */
export const lingerNotes = (user: string): ReadonlyArray<string> =>
  fs.existsSync(`/var/lib/systemd/linger/${user}`)
    ? []
    : ["The daemon stops when your last session ends. To start it at boot and keep it: loginctl enable-linger"]

const noManager = "Log in directly instead of by su or sudo. Without systemd, run the daemon yourself: secrets serve"
