/**
 * launchd by launchctl, as its manual and `launchctl help` have it.
 *
 * Relied on: `bootout` returns before the job is gone; 113 is "not registered"; a
 * label that was disabled stays so until it is enabled. What `print` says is not an
 * interface by its own words, so an unknown form is a job that is not running.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import { launchdPlist } from "./launchdPlist.ts"
import { launchdLabel } from "./ServiceOptions.ts"
import type { JobState, LastExit, SupervisorStep, SupervisorShape, SupervisorVerb } from "./Supervisor.ts"
import { Supervisor, unknownJob } from "./Supervisor.ts"
import { runStep } from "./runStep.ts"
import type { ToolEnvironment, CommandLine } from "./runTool.ts"
import { toolMessage, toolFailed, runTool } from "./runTool.ts"

export interface LaunchdOptions {
  /** The user whose session it belongs to; undefined for a service of the system. */
  readonly uid: number | undefined
  /** The directory of the property list. */
  readonly directory: string
  readonly environment: ToolEnvironment
}

const notRegistered = 113

export const layerLaunchd = (options: LaunchdOptions) =>
  Layer.effect(
    Supervisor,
    Effect.gen(function* () {
      const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
      const withTools = Effect.provideService(ChildProcessSpawner.ChildProcessSpawner, spawner)
      const { directory, environment, uid } = options
      const domain = uid === undefined ? "system" : `gui/${uid}`
      const target = `${domain}/${launchdLabel}`
      const file = `${directory}/${launchdLabel}.plist`

      const state = Effect.gen(function* () {
        const words: CommandLine = ["launchctl", "print", target]
        const said = yield* runTool(words, environment)
        if (said.status === 0) return parsePrint(said.stdout)
        if (said.status === notRegistered || /could not find service/i.test(said.stderr)) return unknownJob
        return yield* toolFailed(words, toolMessage(said), hintFor(toolMessage(said)))
      }).pipe(withTools)
      const isGone = Effect.map(state, ({ phase }) => phase === "unloaded")

      const shape: SupervisorShape = {
        name: "launchd",
        scope: uid === undefined ? "system" : "user",
        restartsInOrder: false,
        environment,
        places: [file],
        files: (service) => [{ path: file, text: launchdPlist(service) }],
        steps: (verb) => steps(verb, { domain, target, file }),
        reread: [],
        state,
        remarks: Effect.succeed(
          uid === undefined ? [] : ["It runs while you are logged in. To have it from the boot on: --system"]
        ),
        logs: ({ follow, lines }, log) => ["tail", "-n", String(lines), ...(follow ? ["-F"] : []), log],
        homeOf: Effect.fnUntraced(function* (user) {
          const words: CommandLine = ["dscacheutil", "-q", "user", "-a", "name", user]
          const { stdout } = yield* runTool(words, environment)
          const [, home] = /^dir: (\/.*)$/m.exec(stdout) ?? []
          return home ?? (yield* toolFailed(words, `there is no user ${user}`, "Make the account first"))
        }, withTools),
        run: (step) => withTools(runStep(step, { environment, hints, isGone }))
      }
      return shape
    })
  )

interface Names {
  readonly domain: string
  readonly target: string
  readonly file: string
}

const steps = (verb: SupervisorVerb, { domain, file, target }: Names): ReadonlyArray<SupervisorStep> => {
  const enable: SupervisorStep = { words: ["launchctl", "enable", target] }
  // 3: no such process. 36: it is on its way already.
  const bootout: SupervisorStep = {
    words: ["launchctl", "bootout", target],
    passes: [3, 36, notRegistered],
    untilGone: true
  }
  switch (verb) {
    case "load":
      return [enable, { words: ["launchctl", "bootstrap", domain, file] }]
    case "unload":
    case "stop":
      // With KeepAlive, a job that is only killed comes back.
      return [bootout]
    case "start":
      return [
        enable,
        // 5, 17, 37: it is loaded, or about to be. Where 5 means something worse, the next step tells.
        { words: ["launchctl", "bootstrap", domain, file], passes: [5, 17, 37] },
        { words: ["launchctl", "kickstart", target] }
      ]
    case "restart":
      return [{ words: ["launchctl", "kickstart", "-k", target] }]
  }
}

/** What `launchctl print` tells of a service. Only the lines of the service itself are one tab deep. */
export const parsePrint = (text: string): JobState => {
  const facts = new Map(
    text.split("\n").flatMap((line) => {
      const [, name = "", value = ""] = /^\t([a-z][a-z ]*) = (.*)$/.exec(line) ?? []
      return name === "" ? [] : [[name, value] as const]
    })
  )
  const runs = wholeNumber(facts.get("runs"))
  const pid = wholeNumber(facts.get("pid"))
  const lastEnd = lastEndIn(facts)
  const idle = lastEnd === undefined ? "starting" : "failing"
  return {
    phase: facts.get("state") === "running" ? "running" : idle,
    enabled: true,
    pid,
    restarts: runs === undefined ? undefined : Math.max(0, runs - 1),
    lastEnd,
    outdated: false
  }
}

/** `last exit code = 78: EX_CONFIG`, `last exit code = (never exited)`, `last terminating signal = Killed: 9`. */
const lastEndIn = (facts: ReadonlyMap<string, string>): LastExit | undefined => {
  const signal = facts.get("last terminating signal")
  if (signal !== undefined) return { signal }
  const status = wholeNumber(facts.get("last exit code"))
  return status === undefined ? undefined : { status }
}

const wholeNumber = (text: string | undefined): number | undefined => {
  const [digits] = /^\d+/.exec(text ?? "") ?? []
  return digits === undefined ? undefined : Number(digits)
}

const hints: ReadonlyArray<readonly [RegExp, string]> = [
  [/\b125\b|domain does not support|could not find domain/i, "Log in at the screen of this Mac first, or use --system"],
  [/not permitted|\b1\b.*privilege/i, "As root: sudo secrets daemon … --system"],
  [
    /input\/output error/i,
    "See whether it is switched off in System Settings, General, Login Items, and whether the property list belongs to you"
  ]
]

const hintFor = (reason: string): string => hints.find(([pattern]) => pattern.test(reason))?.[1] ?? ""
