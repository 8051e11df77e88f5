/**
 * systemd by systemctl and journalctl: the manager of a user, or that of the system.
 *
 * Relied on: `show` prints properties as NAME=VALUE and exits with 0 for a unit that
 * is not there; `start` of a unit of Type=notify returns when it is ready or failed.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import { constants } from "node:os"
import * as fs from "node:fs"
import { serviceUnit, socketUnit } from "./ServiceOptions.ts"
import type { JobState, LastExit, SupervisorStep, SupervisorShape, SupervisorVerb } from "./Supervisor.ts"
import { Supervisor } from "./Supervisor.ts"
import { runStep } from "./runStep.ts"
import type { ToolEnvironment, CommandLine } from "./runTool.ts"
import { toolMessage, toolFailed, runTool } from "./runTool.ts"
import { systemdService, systemdSocket } from "./systemdUnits.ts"

export interface SystemdOptions {
  /** The user whose manager it is; undefined for that of the system. */
  readonly user: { readonly name: string; readonly uid: number } | undefined
  /** The directory of the units. */
  readonly directory: string
  readonly environment: ToolEnvironment
}

export const layerSystemd = (options: SystemdOptions) =>
  Layer.effect(
    Supervisor,
    Effect.gen(function* () {
      const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
      const withTools = Effect.provideService(ChildProcessSpawner.ChildProcessSpawner, spawner)
      const { directory, user } = options
      const environment = user === undefined ? options.environment : withRuntimeDirectory(options.environment, user.uid)
      const scope = user === undefined ? [] : ["--user"]
      const files = { service: `${directory}/${serviceUnit}`, socket: `${directory}/${socketUnit}` }

      const state = Effect.gen(function* () {
        const words: CommandLine = ["systemctl", ...scope, "show", `--property=${properties.join(",")}`, serviceUnit]
        const said = yield* runTool(words, environment)
        if (said.status === 0) return parseShow(said.stdout)
        return yield* toolFailed(words, toolMessage(said), noManager)
      }).pipe(withTools)
      const isGone = Effect.map(state, ({ phase }) => ["unloaded", "stopped", "failed"].includes(phase))

      const shape: SupervisorShape = {
        name: "systemd",
        scope: user === undefined ? "system" : "user",
        restartsInOrder: true,
        environment,
        places: [files.service, files.socket],
        files: (service) => [
          { path: files.service, text: systemdService(service) },
          ...(service.socket === undefined
            ? []
            : [{ path: files.socket, text: systemdSocket(service, service.socket) }])
        ],
        steps: (verb, withSocket) => steps(verb, scope, withSocket),
        reread: [{ words: ["systemctl", ...scope, "daemon-reload"] }],
        state,
        remarks: Effect.sync(() => (user === undefined || lingers(user.name) ? [] : [lingerRemark])),
        logs: ({ follow, lines }) => {
          const form = ["--no-pager", "--output=short-iso", `--lines=${lines}`, ...(follow ? ["--follow"] : [])]
          return ["journalctl", ...scope, `--unit=${serviceUnit}`, ...form]
        },
        homeOf: Effect.fnUntraced(function* (name) {
          const words: CommandLine = ["getent", "passwd", name]
          const { stdout } = yield* runTool(words, environment)
          const home = stdout.split("\n")[0]?.split(":")[5]
          return home?.startsWith("/") === true
            ? home
            : yield* toolFailed(words, `there is no user ${name}`, "Make the account first")
        }, withTools),
        run: (step) =>
          withTools(runStep(step, { environment, hints: [[/connect to bus|no medium/i, noManager]], isGone }))
      }
      return shape
    })
  )

const steps = (
  verb: SupervisorVerb,
  scope: ReadonlyArray<string>,
  withSocket: boolean
): ReadonlyArray<SupervisorStep> => {
  const units = withSocket ? [socketUnit, serviceUnit] : [serviceUnit]
  const systemctl = (...words: ReadonlyArray<string>): SupervisorStep => ({ words: ["systemctl", ...scope, ...words] })
  // The socket first, and in a job of its own: beside a service that runs already, it is refused.
  const start = units.map((unit) => systemctl("start", unit))
  // 1: there is none that has failed.
  const forget: SupervisorStep = { ...systemctl("reset-failed", serviceUnit), passes: [1, 5] }
  switch (verb) {
    case "load":
      return [systemctl("daemon-reload"), systemctl("enable", ...units), ...start]
    case "unload":
      // 1, 5: the files are gone already; whether it is still at work is asked anyway.
      return [{ ...systemctl("disable", "--now", ...units), passes: [1, 5], untilGone: true }, forget]
    case "start":
      return [forget, ...start]
    case "stop":
      return [{ ...systemctl("stop", ...units), untilGone: true }]
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

/** What `systemctl show` tells of the service. */
export const parseShow = (text: string): JobState => {
  const facts = new Map(
    text.split("\n").map((line) => [line.slice(0, Math.max(0, line.indexOf("="))), line.slice(line.indexOf("=") + 1)])
  )
  const pid = Number(facts.get("MainPID") ?? 0)
  const restarts = Number(facts.get("NRestarts") ?? 0)
  const lastEnd = lastEndIn(facts)
  return {
    phase: phaseOf(facts, restarts),
    enabled: facts.get("UnitFileState") === "enabled",
    pid: pid > 0 ? pid : undefined,
    restarts,
    lastEnd,
    outdated: facts.get("NeedDaemonReload") === "yes"
  }
}

const phaseOf = (facts: ReadonlyMap<string, string>, restarts: number): JobState["phase"] => {
  switch (facts.get("ActiveState")) {
    case "active":
    case "reloading":
      return "running"
    case "activating":
      return facts.get("SubState") === "auto-restart" || restarts > 0 ? "failing" : "starting"
    case "failed":
      return "failed"
    case "deactivating":
      return "running"
    default:
      return facts.get("LoadState") === "loaded" ? "stopped" : "unloaded"
  }
}

/** CLD_EXITED, CLD_KILLED and CLD_DUMPED of siginfo.h; 0 while it has not ended. */
const lastEndIn = (facts: ReadonlyMap<string, string>): LastExit | undefined => {
  const status = Number(facts.get("ExecMainStatus") ?? 0)
  switch (facts.get("ExecMainCode")) {
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

/** `sudo -iu` and cron leave it out, and systemctl finds no manager without it. */
const withRuntimeDirectory = (environment: ToolEnvironment, uid: number): ToolEnvironment => {
  const usual = `/run/user/${uid}`
  return (environment["XDG_RUNTIME_DIR"] ?? "") !== "" || !fs.existsSync(usual)
    ? environment
    : { ...environment, XDG_RUNTIME_DIR: usual }
}

const lingers = (name: string): boolean => fs.existsSync(`/var/lib/systemd/linger/${name}`)

const lingerRemark =
  "It ends when you log out of your last session. To have it from the boot on: loginctl enable-linger"

const noManager =
  "No systemd answers for you: log in directly rather than by su or sudo, or, where there is none, run it yourself: secrets serve"
