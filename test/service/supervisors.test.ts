/**
 * launchd and systemd, against fake tools; and the output of the real tools, as observed or
 * documented.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { ApplyOptions } from "../../src/service/applyPlan.ts"
import { applyPlan } from "../../src/service/applyPlan.ts"
import { launchdSupervisor, parsePrint } from "../../src/service/launchd.ts"
import type { ServiceFile } from "../../src/service/ServiceFile.ts"
import { readServiceFiles, stamp } from "../../src/service/ServiceFile.ts"
import { planInstall, planUninstall } from "../../src/service/servicePlan.ts"
import {
  NotServing,
  runSupervisorTool,
  type Supervisor,
  type SupervisorStep,
  type SupervisorVerb
} from "../../src/service/Supervisor.ts"
import { parseShow, systemdSupervisor } from "../../src/service/systemd.ts"
import type { LaunchdState } from "../support/launchctlAnswers.ts"
import { launchdModel } from "../support/launchdModel.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { systemctl, tools } from "../support/tools.ts"

const logIn = "Log in on the screen of this Mac first, or use --system"
const label = "gui/501/dev.agent-secrets.daemon"

const onLaunchd = Effect.fnUntraced(function* (initial: Partial<LaunchdState> = {}) {
  const model = launchdModel(initial)
  const directory = path.join(yield* temporaryDirectory, "LaunchAgents")
  const supervisor = launchdSupervisor({ uid: 501, directory, environment: {}, run: model.run })
  return { ...model, supervisor }
})

const onSystemd = Effect.fnUntraced(function* (more: Readonly<Record<string, string>> = {}) {
  const standIns = yield* tools({ systemctl, ...more })
  const { environment } = standIns
  const directory = path.join(standIns.directory, "units")
  const user = { name: "somebody-who-is-not-there", uid: 987_654 }
  return { ...standIns, supervisor: systemdSupervisor({ user, directory, environment }) }
})

interface TestSupervisor {
  readonly supervisor: Supervisor
  readonly calls: () => ReadonlyArray<string>
}

const commandsOf = ({ calls }: TestSupervisor) => calls().filter((call) => !/systemctl (?:--user )?show/.test(call))

const runVerb = (world: TestSupervisor, verb: SupervisorVerb, withSocket = false) =>
  Effect.forEach(world.supervisor.steps(verb, withSocket), world.supervisor.run, { discard: true })

/** Installs a text as the command does. */
const install = Effect.fnUntraced(function* (
  world: TestSupervisor,
  text: string,
  healthCheck: ApplyOptions["healthCheck"] = Effect.void
) {
  const { supervisor } = world
  const files: ReadonlyArray<ServiceFile> = [{ path: supervisor.paths[0], text: stamp(text, { program: "/x" }) }]
  const installed = yield* readServiceFiles(supervisor.paths)
  const loaded = (yield* supervisor.state).enabled
  const plan = yield* Effect.fromResult(planInstall({ supervisor, installed, loaded, force: true }, files))
  if (plan === undefined) return "unchanged"
  yield* applyPlan(plan, { supervisor, installed, loaded, healthCheck })
  return "installed"
})

describe("launchd", () => {
  it.live("loads a job, and waits for the old one to stop", () =>
    Effect.gen(function* () {
      const world = yield* onLaunchd({ lingers: 1 })
      assert.strictEqual((yield* world.supervisor.state).phase, "unloaded")
      assert.strictEqual(yield* install(world, "one\n"), "installed")
      assert.deepInclude(yield* world.supervisor.state, { phase: "running", pid: 4242, restarts: 0, enabled: true })
      assert.strictEqual(yield* install(world, "one\n"), "unchanged")
      // Without the wait, launchctl would refuse this bootstrap with 5.
      assert.strictEqual(yield* install(world, "two\n"), "installed")
      const file = world.supervisor.paths[0]
      assert.deepStrictEqual(commandsOf(world), [
        `enable ${label}`,
        `bootstrap gui/501 ${file}`,
        `kickstart ${label}`,
        `bootout ${label}`,
        `enable ${label}`,
        `bootstrap gui/501 ${file}`,
        `kickstart ${label}`
      ])
      assert.strictEqual(fs.statSync(file).mode & 0o777, 0o644)
    }).pipe(Effect.scoped)
  )

  it.live("starts a job whether or not it is loaded, and stops one that is not", () =>
    Effect.gen(function* () {
      const world = yield* onLaunchd()
      yield* install(world, "one\n")
      yield* runVerb(world, "stop")
      yield* runVerb(world, "stop")
      yield* runVerb(world, "start")
      yield* runVerb(world, "start")
      yield* runVerb(world, "restart")
      assert.deepStrictEqual(
        commandsOf(world)
          .slice(3)
          .map((call) => call.split(" ").slice(0, 2).join(" ")),
        [
          `bootout ${label}`,
          `bootout ${label}`,
          `enable ${label}`,
          "bootstrap gui/501",
          `kickstart ${label}`,
          `enable ${label}`,
          "bootstrap gui/501",
          `kickstart ${label}`,
          "kickstart -k"
        ]
      )
    }).pipe(Effect.scoped)
  )

  it.live("loads the old file again if it refuses the new one", () =>
    Effect.gen(function* () {
      const world = yield* onLaunchd()
      yield* install(world, "one\n")
      const file = world.supervisor.paths[0]
      const before = fs.readFileSync(file, "utf8")
      world.state.disabled = "Login Items"
      // It refuses the second file only, and not the first one when that is restored.
      const run = (step: SupervisorStep) =>
        Effect.tapError(world.supervisor.run(step), () => Effect.sync(() => (world.state.disabled = false)))
      const error = yield* Effect.flip(install({ ...world, supervisor: { ...world.supervisor, run } }, "two\n"))
      assert.include(error.message, "Bootstrap failed: 119: Service is disabled")
      assert.include(error.message, "all changes were undone")
      assert.include("fix" in error ? error.fix : "", "Login Items")
      assert.strictEqual(fs.readFileSync(file, "utf8"), before)
      assert.strictEqual(world.state.loaded, before)
    }).pipe(Effect.scoped)
  )

  it("is parsed from the output of launchctl print", () => {
    const print = (lines: ReadonlyArray<string>) =>
      parsePrint(["gui/501/x = {", ...lines.map((line) => `\t${line}`), "}"].join("\n"))
    const running = [
      "state = running",
      "pid = 12",
      "runs = 3",
      "last exit code = 78: EX_CONFIG",
      "endpoints = {",
      "\tstate = active",
      "}"
    ]
    assert.deepInclude(print(running), { phase: "running", pid: 12, restarts: 2, lastExit: { status: 78 } })
    assert.deepInclude(print(["state = spawn scheduled", "runs = 9", "last exit code = 65"]), {
      phase: "failing",
      pid: undefined,
      lastExit: { status: 65 }
    })
    assert.deepInclude(print(["state = not running", "runs = 2", "last terminating signal = Killed: 9"]), {
      phase: "failing",
      lastExit: { signal: "Killed: 9" }
    })
    assert.deepInclude(print(["state = not running", "runs = 0", "last exit code = (never exited)"]), {
      phase: "starting"
    })
    const scheduled = ["state = spawn scheduled", "runs = 4", "last exit code = 78: EX_CONFIG"]
    assert.deepInclude(print(scheduled), { phase: "failing", lastExit: { status: 78 } })
    assert.deepInclude(print([...scheduled, "job state = spawn failed"]), {
      phase: "failing",
      lastExit: { status: 78, by: "supervisor" }
    })
    for (const reason of ["OS_REASON_CODESIGNING", "JETSAM_REASON_MEMORY_PERPROCESSLIMIT"]) {
      assert.deepInclude(print(["state = spawn scheduled", "runs = 2380", `last exit reason = ${reason}`]), {
        phase: "failing",
        restarts: 2379,
        lastExit: { reason }
      })
    }
    for (const state of ["xpcproxy", "spawning"]) {
      assert.deepInclude(print([`state = ${state}`, "runs = 9", "last exit code = 1"]), { phase: "starting" })
    }
    assert.deepInclude(print(["state = spawn scheduled", "runs = 3"]), { phase: "failing" })
    assert.deepInclude(print(["state = spawn scheduled", "runs = 2"]), { phase: "starting" })
    assert.deepInclude(parsePrint("something else entirely"), {
      phase: "starting",
      pid: undefined,
      restarts: undefined
    })
  })

  it.live("returns the home directory of a user", () =>
    Effect.gen(function* () {
      const { environment } = yield* tools({
        dscacheutil: `[ "$5" = joel ] && printf 'name: joel\\npassword: *\\ndir: /Users/joel\\n'; true`
      })
      const supervisor = launchdSupervisor({ uid: 501, directory: "/x", environment })
      assert.strictEqual(yield* supervisor.homeOf("joel"), "/Users/joel")
      assert.include((yield* Effect.flip(supervisor.homeOf("nobody-here"))).message, "there is no user nobody-here")
    }).pipe(Effect.scoped)
  )

  it("needs the program of its property list and the directories of its logs", () => {
    const { requiredPaths } = launchdSupervisor({ uid: 501, directory: "/x", environment: {} })
    const list = (...words: ReadonlyArray<string>) => words.map((word) => `<string>${word}</string>`).join("\n ")
    const text = `<key>ProgramArguments</key>\n<array>\n  ${list("/a &amp; b/node", "--x", "/p")}\n</array>
      <key>StandardOutPath</key> ${list("/logs/one.log")} <key>StandardErrorPath</key>${list("/logs/two.log")}`
    assert.deepStrictEqual(requiredPaths(text), ["/a & b/node", "/logs"])
    assert.deepStrictEqual(requiredPaths("not a property list"), [])
  })

  const noDomain = "Bad request.\nCould not find domain for user gui: 501\n"
  const refused = "Bootstrap failed: 125: Domain does not support specified action\n"
  const answering = (answers: Readonly<Record<string, readonly [status: number, stderr: string]>>) =>
    launchdSupervisor({
      uid: 501,
      directory: "/x",
      environment: {},
      run: ([, verb = ""]) => {
        const [status, stderr] = answers[verb] ?? [0, ""]
        return Effect.succeed({ status, stderr, stdout: Buffer.from("") })
      }
    })

  it.effect("is not loaded, and cannot be, without a session on the screen", () =>
    Effect.gen(function* () {
      for (const status of [112, 125]) {
        const supervisor = answering({
          print: [status, noDomain],
          bootout: [status, noDomain],
          bootstrap: [status, status === 112 ? noDomain : refused]
        })
        assert.deepInclude(yield* supervisor.state, { phase: "unloaded", fix: logIn })
        yield* Effect.forEach(supervisor.steps("unload", false), supervisor.run)
        const [, bootstrap] = supervisor.steps("load", false)
        assert.isDefined(bootstrap)
        if (bootstrap === undefined) return
        const { fix, reason } = yield* Effect.flip(supervisor.run(bootstrap))
        assert.match(reason, /^(Could not find domain|Bootstrap failed: 125).*\(exit status 1(12|25)\)$/)
        assert.strictEqual(fix, logIn)
      }
    })
  )

  it.effect("is refused with a hint, whatever line of the error has the reason", () =>
    Effect.gen(function* () {
      for (const [status, stderr, hint] of [
        [119, "Bootstrap failed: 119: Service is disabled\n", "Login Items"],
        [119, "", "Login Items"],
        [134, "\nBad request.\n\nThe service is disabled\n", "Login Items"],
        [125, "", "Log in on the screen"],
        [1, "Bad request.\nNot privileged.\nOperation not permitted\n", "sudo"]
      ] as const) {
        const supervisor = answering({ bootstrap: [status, stderr], print: [113, ""] })
        const [, bootstrap] = supervisor.steps("load", false)
        const { fix, reason } = yield* Effect.flip(supervisor.run(bootstrap ?? { command: ["none"] }))
        assert.include(fix, hint)
        assert.notInclude(reason, "Bad request")
      }
    })
  )

  it.effect("shows what launchctl lists about the label where it refuses to load it", () =>
    Effect.gen(function* () {
      const listed = (line: string) => `disabled services = {\n\t\t"com.apple.x" => enabled\n${line}\t}\n`
      for (const [line, shown] of [
        [`\t\t"dev.agent-secrets.daemon" => disabled\n`, "; launchctl print-disabled: disabled"],
        [`\t\t"dev.agent-secrets.daemon" => true\n`, "; launchctl print-disabled: true"],
        ["", ""]
      ] as const) {
        const supervisor = launchdSupervisor({
          uid: 501,
          directory: "/x",
          environment: {},
          run: ([, verb = ""]) =>
            Effect.succeed({
              status: verb === "bootstrap" ? 119 : verb === "print" ? 113 : 0,
              stderr: verb === "bootstrap" ? "Bootstrap failed: 119: Service is disabled\n" : "",
              stdout: Buffer.from(verb === "print-disabled" ? listed(line) : "")
            })
        })
        const [, bootstrap] = supervisor.steps("load", false)
        const { fix, reason } = yield* Effect.flip(supervisor.run(bootstrap ?? { command: ["none"] }))
        assert.strictEqual(reason, `Bootstrap failed: 119: Service is disabled (exit status 119)${shown}`)
        assert.include(fix, "Login Items")
      }
    })
  )

  it.live("fails with a hint if launchctl is missing", () =>
    Effect.gen(function* () {
      const { environment } = yield* tools({})
      const error = yield* Effect.flip(launchdSupervisor({ uid: 501, directory: "/x", environment }).state)
      assert.include(error.message, "launchctl is not on the PATH")
      assert.include(error.fix, "secrets serve")
    }).pipe(Effect.scoped)
  )
})

describe("systemd", () => {
  it.live("loads, enables and starts a unit, and removes it", () =>
    Effect.gen(function* () {
      const world = yield* onSystemd()
      assert.strictEqual(yield* install(world, "one\n"), "installed")
      assert.strictEqual(yield* install(world, "one\n"), "unchanged")
      const { supervisor } = world
      const installed = yield* readServiceFiles(supervisor.paths)
      const plan = yield* Effect.fromResult(planUninstall({ supervisor, installed, loaded: true, force: false }))
      assert.isDefined(plan)
      if (plan !== undefined) yield* applyPlan(plan, { supervisor, installed, loaded: true, healthCheck: Effect.void })
      assert.isFalse(fs.existsSync(supervisor.paths[0]))
      const unit = "dev.agent-secrets.service"
      assert.deepStrictEqual(commandsOf(world), [
        "systemctl --user daemon-reload",
        `systemctl --user enable ${unit}`,
        `systemctl --user start ${unit}`,
        `systemctl --user disable --now ${unit}`,
        `systemctl --user reset-failed ${unit}`,
        "systemctl --user daemon-reload"
      ])
    }).pipe(Effect.scoped)
  )

  it.live("starts a socket before its service, and stops both", () =>
    Effect.gen(function* () {
      const world = yield* onSystemd()
      yield* runVerb(world, "start", true)
      yield* runVerb(world, "stop", true)
      assert.deepStrictEqual(
        commandsOf(world).map((call) => call.replace("systemctl --user ", "")),
        [
          "reset-failed dev.agent-secrets.service",
          "start dev.agent-secrets.socket",
          "start dev.agent-secrets.service",
          "stop dev.agent-secrets.socket dev.agent-secrets.service"
        ]
      )
    }).pipe(Effect.scoped)
  )

  it.live("leaves nothing installed if the daemon does not answer, and reports why", () =>
    Effect.gen(function* () {
      const world = yield* onSystemd()
      fs.writeFileSync(
        path.join(world.directory, "show"),
        "LoadState=loaded\nActiveState=failed\nExecMainCode=1\nExecMainStatus=78\n"
      )
      const healthCheck = Effect.fail(new NotServing({ message: "nobody answers", fix: "" }))
      const error = yield* Effect.flip(install(world, "one\n", healthCheck))
      assert.strictEqual(error.message, "nobody answers; all changes were undone")
      assert.isFalse(fs.existsSync(world.supervisor.paths[0]))
      assert.deepStrictEqual(
        commandsOf(world)
          .slice(3)
          .map((call) => call.split(" ")[2]),
        ["disable", "reset-failed", "daemon-reload"]
      )
    }).pipe(Effect.scoped)
  )

  it.live("reports what cannot be undone", () =>
    Effect.gen(function* () {
      const world = yield* onSystemd()
      fs.writeFileSync(path.join(world.directory, "refuse"), "")
      const script = path.join(world.directory, "systemctl")
      fs.writeFileSync(
        script,
        fs.readFileSync(script, "utf8").replace("disable)", "disable) echo no disk >&2; exit 4;;\n  never)")
      )
      const error = yield* Effect.flip(install(world, "one\n"))
      assert.include(error.message, "failed because the control process exited")
      assert.include(error.message, "undoing failed: systemctl --user disable")
    }).pipe(Effect.scoped)
  )

  it.live("keeps an older backup", () =>
    Effect.gen(function* () {
      const world = yield* onSystemd()
      const file = world.supervisor.paths[0]
      for (const mine of ["mine\n", "mine too\n"]) {
        yield* install(world, "one\n")
        fs.writeFileSync(file, mine)
        yield* install(world, "one\n")
      }
      assert.strictEqual(fs.readFileSync(`${file}.bak`, "utf8"), "mine\n")
      assert.strictEqual(fs.readFileSync(`${file}.bak.1`, "utf8"), "mine too\n")
    }).pipe(Effect.scoped)
  )

  it.live("needs the program of its unit", () =>
    Effect.gen(function* () {
      const { requiredPaths } = (yield* onSystemd()).supervisor
      assert.deepStrictEqual(requiredPaths("[Service]\nExecStart=:/usr/bin/node --x /p serve\n"), ["/usr/bin/node"])
      assert.deepStrictEqual(requiredPaths(""), [])
    }).pipe(Effect.scoped)
  )

  it("is parsed from the output of systemctl show", () => {
    const show = (text: string) => parseShow(text.replaceAll(" ", "\n"))
    assert.deepInclude(
      show(
        "LoadState=loaded UnitFileState=enabled ActiveState=active SubState=running MainPID=88 NRestarts=2 ExecMainCode=0 NeedDaemonReload=yes"
      ),
      { phase: "running", enabled: true, pid: 88, restarts: 2, lastExit: undefined, needsReload: true }
    )
    assert.deepInclude(
      show("LoadState=loaded ActiveState=activating SubState=auto-restart MainPID=0 ExecMainCode=2 ExecMainStatus=9"),
      {
        phase: "failing",
        pid: undefined,
        lastExit: { signal: "SIGKILL" }
      }
    )
    assert.deepInclude(show("LoadState=loaded ActiveState=activating SubState=start MainPID=8"), { phase: "starting" })
    assert.deepInclude(show("LoadState=loaded ActiveState=failed ExecMainCode=1 ExecMainStatus=65"), {
      phase: "failed",
      lastExit: { status: 65 }
    })
    assert.deepInclude(show("LoadState=loaded ActiveState=inactive"), { phase: "stopped", enabled: false })
    assert.deepInclude(show("LoadState=not-found ActiveState=inactive"), { phase: "unloaded" })
  })

  it.live("fails with a hint if it cannot be reached", () =>
    Effect.gen(function* () {
      const { supervisor } = yield* onSystemd({
        systemctl: "echo 'Failed to connect to bus: No medium found' >&2; exit 1"
      })
      const error = yield* Effect.flip(supervisor.state)
      assert.include(error.message, "Failed to connect to bus")
      assert.include(error.fix, "Log in directly")
    }).pipe(Effect.scoped)
  )

  it.live("returns the home directory of a user", () =>
    Effect.gen(function* () {
      const { supervisor } = yield* onSystemd({
        getent: `[ "$2" = agent ] && echo agent:x:99:99:An agent:/var/lib/agent:/bin/false || exit 2`
      })
      assert.strictEqual(yield* supervisor.homeOf("agent"), "/var/lib/agent")
      assert.include((yield* Effect.flip(supervisor.homeOf("nobody-here"))).message, "there is no user nobody-here")
    }).pipe(Effect.scoped)
  )
})

describe("a tool", () => {
  it.live("gets neither NODE_OPTIONS nor standard input, and its exit status is returned", () =>
    Effect.gen(function* () {
      const { environment } = yield* tools({ odd: `cat; echo "[$NODE_OPTIONS][$LC_ALL]"; echo why >&2; exit 7` })
      const { status, stderr, stdout } = yield* runSupervisorTool(["odd"], {
        ...environment,
        NODE_OPTIONS: "--inspect"
      })
      assert.deepStrictEqual([status, stdout.toString(), stderr], [7, "[][C]\n", "why\n"])
    }).pipe(Effect.scoped)
  )
})
